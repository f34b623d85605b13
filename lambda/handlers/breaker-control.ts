import { control, type ControlAnswer } from '../circuit-breaking/control';
import { BreakerDesk } from '../store/breaker-desk';
import { serviceFrom } from './parts/service-from-environment';

const { policy, connect, announce } = serviceFrom(process.env, 'inference');
const connection = connect();
const desk = new BreakerDesk((commands) => connection.trip(commands));

/** Entry point for operators: reads breakers, and overrides them. */
export function handler(request: unknown): Promise<ControlAnswer> {
  return control(request, {
    backends: policy.backends,
    read: (backends) => desk.read(backends),
    force: (backend, force, forMs) => desk.force(backend, force, forMs),
    announce,
  });
}
