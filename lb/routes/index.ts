export { controlRoutes } from "./control.ts";
export { generateRoutes } from "./generate.ts";
export { healthRoutes } from "./health.ts";
export { infoRoutes } from "./info.ts";
export { observeRoutes } from "./observe.ts";
export { openApiDocument } from "./openapi.ts";
export { workerRoutes, workerView } from "./workers.ts";
