/**
 * What is watched in each version, compared with the versions before it. Nothing alarms before there is enough history.
 */
export interface PipelineMonitors {
  /**
   * Versions before the first comparison, 3 to 1,000, and at least `season` + 3.
   *
   * @default 14
   */
  readonly minimumHistory?: number;

  /**
   * Versions that the comparison looks back on, at least `minimumHistory` and `season` + 3, at most 1,000.
   *
   * @default - 56, or what those need
   */
  readonly history?: number;

  /**
   * Versions in one season, 1 to 366, such as 7 for a daily run whose week-ends differ; 1 for none.
   *
   * @default 7
   */
  readonly season?: number;

  /**
   * How far a value may lie from what is expected, in robust standard deviations, 3 to 20; a little further while the
   * history is short.
   *
   * @default 4
   */
  readonly mostDeviations?: number;

  /**
   * The age of the newest record (the watermark) that alarms, in seconds, at least 1. Needs the source's `timeField`.
   *
   * @default - freshness is not watched
   */
  readonly mostAgeSeconds?: number;

  /**
   * Numeric or string fields of the last stage's output whose distribution is watched.
   *
   * @default - none
   */
  readonly fields?: string[];

  /**
   * The population stability index of a field against the pinned version that alarms, above 0. 0.1 is called a small shift
   * and 0.25 a large one in credit scoring, where the index comes from.
   *
   * @default 0.25
   */
  readonly mostPsi?: number;

  /**
   * The cosine distance between the centroids of this version's vectors and the pinned version's that alarms, above 0,
   * at most 2. Needs an `embed` stage.
   *
   * @default 0.1
   */
  readonly mostCentroidDistance?: number;
}
