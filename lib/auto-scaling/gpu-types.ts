/**
 * Series of instance types that have no GPU of NVIDIA. Those that AWS will name some day are not among them: what is not
 * known to be wrong is let through.
 */
const WITHOUT_NVIDIA = /^(?:(?:a|c|d|dl|f|h|hpc|i|im|inf|is|m|mac|r|t|trn|u|vt|x|z)[\d-]|g4ad\.)/;

/** Letters behind the generation that hold a g: Graviton as in g5g, Grace as in p6e-gb200. */
const ARM = /^(?:a\d|[a-z]+\d+[a-z0-9-]*g)/;

/** Whether an instance type, such as `m5.large`, is known to have no GPU of NVIDIA. */
export function hasNoNvidiaGpu(type: string): boolean {
  return WITHOUT_NVIDIA.test(type);
}

/**
 * Whether an instance type has a processor of the arm64 architecture. `ec2.InstanceType.architecture` says the same, but
 * fails on names such as `p6-b200.48xlarge`.
 */
export function isArm64(type: string): boolean {
  return ARM.test(type);
}
