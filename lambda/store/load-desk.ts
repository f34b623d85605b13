import readWorkText from '../auto-scaling/read-work.lua';
import setRoomsText from '../auto-scaling/set-rooms.lua';
import type { FleetRoom, FleetWork } from '../auto-scaling/signal-round';
import loadText from '../load-balancing/load.lua';
import { ROOM_LIFE_MS } from '../load-balancing/room';
import { loadKey, roomKey } from './keys';
import preludeText from './prelude.lua';
import { script } from './scripts';
import type { Trip } from './valkey-store';

const READ_WORK = script(preludeText, loadText, readWorkText);
const SET_ROOMS = script(preludeText, setRoomsText);

/** What backends have in progress in the shared store, and how much they let in, for whoever scales them. */
export class LoadDesk {
  constructor(private readonly trip: Trip) {}

  /** Reads the work of backends, in one trip; one that no request has touched has none. */
  public async work(backends: readonly string[]): Promise<FleetWork[]> {
    const keys = backends.flatMap((backend) => [loadKey(backend), roomKey(backend)]);
    const [reply] = await this.trip([{ script: READ_WORK, keys, args: [] }]);
    const values = reply as readonly string[];
    return backends.map((_, i): FleetWork => {
      const [tokens, letIn, turnedAway] = values.slice(3 * i, 3 * i + 3);
      const flow = letIn === '' ? undefined : { letIn: Number(letIn), turnedAway: Number(turnedAway) };
      return { tokens: Number(tokens), ...(flow && { flow }) };
    });
  }

  /** Says how much backends let in at one time, until `ROOM_LIFE_MS` have passed. */
  public async setRooms(rooms: readonly FleetRoom[]): Promise<void> {
    if (rooms.length === 0) return;
    const keys = rooms.map(({ backend }) => roomKey(backend));
    const args = [String(ROOM_LIFE_MS), ...rooms.map(({ tokens }) => String(tokens))];
    await this.trip([{ script: SET_ROOMS, keys, args }]);
  }
}
