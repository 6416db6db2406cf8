/** Which bytes of one rank go where in another, in the fewest writes. Pure: no input or output. @module */
export { PlanError, type PlanErrorCode } from "./errors.ts";
export { headCopies, headRange, type HeadRange, type HeadSharding } from "./heads.ts";
export {
  type AuxBuffer,
  checkLayout,
  type KVBuffer,
  type KVLayout,
  kvLayoutSchema,
  type PoolCapacity,
  poolCapacity,
} from "./layout.ts";
export { type LatentPool, latentLayout } from "./latent-layout.ts";
export { type LayoutPair, pairLayouts } from "./layout-pair.ts";
export { pageRuns, type PageRuns } from "./page-runs.ts";
export { type AuxPlanRequest, type PagePlanRequest, planAux, planPages } from "./plan.ts";
export {
  decodeRanksOf,
  type GroupSize,
  prefillRanksOf,
  prefillReplica,
  type Rank,
  type RankLink,
  type RankMapping,
  replicaRank,
} from "./ranks.ts";
export { describePlan, emptyPlan, type PlanGroup, type WriteLimits, type WritePlan } from "./write-plan.ts";
