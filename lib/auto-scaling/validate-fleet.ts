import { Duration, Token } from 'aws-cdk-lib';
import { capacityForZoneLoss } from '../policy/zone-loss';
import {
  CapacityType,
  capacityTypesOf,
  defaultInstanceTypes,
  instanceUnits,
  usesReservations,
  usesSpot,
} from './capacity';
import type { ConcurrencyControl, FleetSettings } from './fleet-settings';
import { hasNoNvidiaGpu, isArm64 } from './gpu-types';

/** What `Vpc.fromLookup` stands in with until the CDK has looked: an error then would keep it from looking. */
const LOOKED_UP_LATER = 'dummy';

/** Longest time that a launch hook waits, less what passes before the first command of a boot. */
const MAX_BOOT = Duration.minutes(115);

/** Longest time that a termination hook waits, less what stopping the server takes. */
const MAX_DRAIN = Duration.minutes(115);

/** What the settings come to, once defaults have been filled in. */
export interface FleetSize {
  readonly minCapacity: number;
  readonly maxCapacity: number;
  readonly targetGpuUtilization: number;
}

/** @throws on the first setting that cannot be, with what to write instead. */
export function validateFleet(settings: FleetSettings, size: FleetSize, drainTime: Duration): void {
  const { minCapacity, maxCapacity } = size;
  whole('minCapacity', minCapacity, 0);
  if (!isWhole(maxCapacity) || maxCapacity < Math.max(1, minCapacity)) {
    throw new Error(
      `maxCapacity must be a whole number of at least 1 and minCapacity (${minCapacity}), got ${maxCapacity}`,
    );
  }
  within('targetGpuUtilization', size.targetGpuUtilization, 1, 100, ' per cent');
  if (settings.volumeInitializationRate !== undefined) {
    whole('volumeInitializationRate', settings.volumeInitializationRate, 100, 300, ' MiB/s');
  }
  validateScalingPeriod('scalingPeriod', settings.scalingPeriod);
  duration('bootTime', settings.bootTime ?? Duration.minutes(15), Duration.minutes(1), MAX_BOOT);
  duration('drainTime', drainTime, Duration.seconds(10), MAX_DRAIN);
  validateServer(settings);
  validateImage(settings);
  validateInstances(settings);
  validateCapacityTypes(settings);
  validateWarmPool(settings);
  const control = settings.concurrencyControl;
  if (control?.maxConcurrency !== undefined)
    whole('concurrencyControl.maxConcurrency', control.maxConcurrency, 1, 1000);
}

/**
 * Checks the ports on an instance. Where an agent bounds the requests in flight, the server listens behind it, on the port
 * after `port`.
 *
 * @throws where one is none, or stands for two things
 */
export function validatePorts(port: number, control: Required<ConcurrencyControl> | undefined): void {
  whole('port', port, 1, control ? 65534 : 65535);
  if (!control) return;
  const { controlPort } = control;
  whole('concurrencyControl.controlPort', controlPort, 1, 65535);
  if (controlPort === port || controlPort === port + 1) {
    throw new Error(
      `concurrencyControl.controlPort must differ from port (${port}) and from the one after it, on which the server listens behind the agent, got ${controlPort}: choose another for fleet and endpoint`,
    );
  }
}

/** The periods at which target tracking can look at a metric. @throws where it is another one */
export function validateScalingPeriod(name: string, period: Duration | undefined): void {
  if (period === undefined || [10, 30, 60].includes(period.toSeconds())) return;
  throw new Error(`${name} must be 10, 30 or 60 seconds, got ${period.toSeconds()}`);
}

/**
 * Checks that the fleet spans the zones that it must, and keeps enough when it loses one.
 *
 * @param zones names of the zones of the fleet's subnets, possibly repeated
 * @returns how many zones it spans; the least that it must, where they are known at deployment only
 * @throws where there are too few zones or too few instances
 */
export function validateZones(settings: FleetSettings, zones: readonly string[], minCapacity: number): number {
  const { minZones = 3, capacityWithoutZone } = settings;
  whole('minZones', minZones, 1, 6);
  // Of an imported list that is known at deployment only, the length is not known here.
  if (zones.some((zone) => Token.isUnresolved([zone]) || zone.startsWith(LOOKED_UP_LATER))) return minZones;
  const count = new Set(zones).size;
  if (count < minZones) {
    throw new Error(
      `the subnets of the fleet must be in at least minZones (${minZones}) zones, got ${count}: choose other vpcSubnets, or set minZones to ${count}`,
    );
  }
  if (capacityWithoutZone === undefined) return count;
  whole('capacityWithoutZone', capacityWithoutZone, 1);
  const enough = (needed: number) => capacityForZoneLoss(needed, count, instanceUnits(settings));
  if (minCapacity < enough(capacityWithoutZone)) {
    let left = 0;
    while (enough(left + 1) <= minCapacity) left++;
    const heaviest = settings.instanceWeights ? ', at worst full of the heaviest type,' : '';
    throw new Error(
      `minCapacity of ${minCapacity} over ${count} zones leaves ${left} when one${heaviest} is lost, and capacityWithoutZone asks for ${capacityWithoutZone}: set minCapacity to at least ${count < 2 ? 'anything, over more zones' : enough(capacityWithoutZone)}`,
    );
  }
  return count;
}

function validateServer({ modelServer }: FleetSettings): void {
  // JavaScript, and JSON, may leave out what the types require.
  if (typeof (modelServer as FleetSettings['modelServer'] | undefined)?.model !== 'string') {
    throw new Error('modelServer.model is required: the model that the instances load, such as "Qwen/Qwen3-8B"');
  }
  if (modelServer.servedModelNames?.length === 0) {
    throw new Error(
      'modelServer.servedModelNames must list at least one name, got none: leave it out for the name in modelServer.model',
    );
  }
  const words = [modelServer.model, ...(modelServer.servedModelNames ?? [])];
  if (words.some((word) => word.trim() === '')) {
    throw new Error('modelServer.model and servedModelNames must not be empty');
  }
  const { weightsBucket, weightsPrefix, longInputTokens } = modelServer;
  if (longInputTokens !== undefined) whole('modelServer.longInputTokens', longInputTokens, 1);
  if (weightsPrefix === undefined) return;
  if (!weightsBucket) {
    throw new Error('modelServer.weightsPrefix goes with weightsBucket: give the bucket that it is a folder of');
  }
  if (!Token.isUnresolved(weightsPrefix) && !/^[^/*?].*\/$/.test(weightsPrefix)) {
    throw new Error(
      `modelServer.weightsPrefix must be a folder with a slash at its end, such as "qwen3-8b/", got "${weightsPrefix}"`,
    );
  }
}

function validateImage({ machineImage, rootDeviceName: device, instanceTypes }: FleetSettings): void {
  if (device !== undefined && !Token.isUnresolved(device) && !/^\/dev\/\w+$/.test(device)) {
    throw new Error(
      `rootDeviceName must be the device of the image's root volume, such as "/dev/sda1", got "${device}"`,
    );
  }
  if (device !== undefined && !machineImage) {
    throw new Error('rootDeviceName goes with machineImage: the default image has "/dev/xvda", leave it out');
  }
  for (const type of (instanceTypes ?? []).map(String)) {
    if (Token.isUnresolved(type)) continue;
    if (hasNoNvidiaGpu(type)) {
      throw new Error(
        `instanceTypes must have GPUs of NVIDIA, and "${type}" has none: the model server needs one, as g6.xlarge has`,
      );
    }
    if (!machineImage && isArm64(type)) {
      throw new Error(
        `instanceTypes must be x86_64 with the default image, and "${type}" is arm64: give a machineImage for arm64, or another type`,
      );
    }
  }
}

function validateInstances({ instanceTypes, instanceWeights, instanceRequirements }: FleetSettings): void {
  if (instanceTypes?.length === 0) {
    throw new Error('instanceTypes must list at least one type, got none: leave it out for g6.xlarge and g5.xlarge');
  }
  if (instanceRequirements) {
    if (instanceTypes ?? instanceWeights) {
      throw new Error(
        'instanceRequirements takes the place of instanceTypes and instanceWeights: give the one or the other',
      );
    }
    const count = instanceRequirements.acceleratorCount;
    if (!Token.isUnresolved(count) && ((count as { min?: number } | undefined)?.min ?? 0) < 1) {
      throw new Error(
        'instanceRequirements.acceleratorCount.min must be at least 1, or instances without a GPU would match',
      );
    }
    requireOnly('nvidia', 'acceleratorManufacturers', instanceRequirements.acceleratorManufacturers);
    requireOnly('gpu', 'acceleratorTypes', instanceRequirements.acceleratorTypes);
  }
  if (!instanceWeights) return;
  const types = (instanceTypes ?? defaultInstanceTypes()).map(String);
  for (const type of types) {
    const weight = instanceWeights[type];
    if (weight === undefined) {
      throw new Error(`instanceWeights must weigh each of instanceTypes, and "${type}" has none`);
    }
    whole(`instanceWeights["${type}"]`, weight, 1, 999);
  }
  const stranger = Object.keys(instanceWeights).find((type) => !types.includes(type));
  if (stranger !== undefined) {
    throw new Error(`instanceWeights["${stranger}"] must be one of instanceTypes (${types.join(', ')})`);
  }
}

function requireOnly(value: string, name: string, given: string[] | undefined): void {
  if (given === undefined || Token.isUnresolved(given)) return;
  if (given.length > 0 && given.every((one) => one === value || Token.isUnresolved(one))) return;
  throw new Error(
    `instanceRequirements.${name} must be ["${value}"], got ${JSON.stringify(given)}: image and model server run on GPUs of NVIDIA only; leave it out`,
  );
}

function validateCapacityTypes(settings: FleetSettings): void {
  const types = capacityTypesOf(settings);
  const spot = usesSpot(settings);
  const reserved = usesReservations(settings);
  if (types.length === 0 || new Set(types).size < types.length) {
    throw new Error(`capacityTypes must name each kind once, and at least one, got ${JSON.stringify(types)}`);
  }
  if (spot && (reserved || types.at(-1) !== CapacityType.SPOT)) {
    throw new Error(
      `capacityTypes must have SPOT last and beside ON_DEMAND only, got ${JSON.stringify(types)}: Auto Scaling tries reservations in order but divides Spot by share; make a second fleet for one of them`,
    );
  }
  if (types.includes(CapacityType.ON_DEMAND) && !spot && types.at(-1) !== CapacityType.ON_DEMAND) {
    throw new Error(`capacityTypes must have ON_DEMAND after what is reserved, got ${JSON.stringify(types)}`);
  }
  if (reserved !== (settings.capacityReservationGroups ?? []).length > 0) {
    throw new Error(
      reserved
        ? 'capacityReservationGroups is required: reservations and capacity blocks are found by their resource groups'
        : 'capacityReservationGroups goes with RESERVATION, CAPACITY_BLOCK or INTERRUPTIBLE_RESERVATION in capacityTypes',
    );
  }
  if (reserved && settings.instanceRequirements) {
    throw new Error(
      'instanceRequirements does not go with what is reserved in capacityTypes: Auto Scaling then takes types in their order only, which attributes have none of; give instanceTypes',
    );
  }
  const { onDemandBaseCapacity: base, spotPercentage } = settings;
  if (!spot && (base ?? spotPercentage) !== undefined) {
    throw new Error('onDemandBaseCapacity and spotPercentage go with SPOT in capacityTypes: leave them out or add it');
  }
  if (base !== undefined) whole('onDemandBaseCapacity', base, 0);
  if (spotPercentage !== undefined) whole('spotPercentage', spotPercentage, 1, 100, ' per cent');
  if (types.length === 1 && spot && base !== 0) {
    throw new Error('capacityTypes of SPOT alone needs onDemandBaseCapacity 0: say so, since all of it can go at once');
  }
}

function validateWarmPool(settings: FleetSettings): void {
  const { warmPool } = settings;
  if (!warmPool) return;
  if (settings.instanceTypes?.length !== 1 || settings.instanceWeights) {
    throw new Error(
      'warmPool needs exactly one of instanceTypes, and no instanceWeights: a pool of several types hands out whichever it holds, not the one that is preferred',
    );
  }
  if (capacityTypesOf(settings).some((type) => type !== CapacityType.ON_DEMAND)) {
    throw new Error(
      `warmPool needs capacityTypes of ON_DEMAND alone, got ${JSON.stringify(settings.capacityTypes)}: Auto Scaling refuses Spot in a pool, and a stopped instance gives its reservation back`,
    );
  }
  if (warmPool.minSize !== undefined) whole('warmPool.minSize', warmPool.minSize, 0);
  if (warmPool.maxPreparedCapacity !== undefined)
    whole('warmPool.maxPreparedCapacity', warmPool.maxPreparedCapacity, 1);
}

function isWhole(value: number): boolean {
  return Number.isInteger(value) || Token.isUnresolved(value);
}

function whole(name: string, value: number, min: number, max = Infinity, unit = ''): void {
  if (Token.isUnresolved(value)) return;
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new Error(`${name} must be a whole number ${range}${unit}, got ${value}`);
}

function within(name: string, value: number, min: number, max: number, unit: string): void {
  if (Token.isUnresolved(value) || (value >= min && value <= max)) return;
  throw new Error(`${name} must be from ${min} to ${max}${unit}, got ${value}`);
}

function duration(name: string, value: Duration, min: Duration, max: Duration): void {
  if (value.isUnresolved()) return;
  const seconds = value.toSeconds();
  if (seconds >= min.toSeconds() && seconds <= max.toSeconds()) return;
  throw new Error(
    `${name} must be from ${min.toHumanString()} to ${max.toHumanString()}, got ${value.toHumanString()}`,
  );
}
