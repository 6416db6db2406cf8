/** The engine's HTTP interface: SGLang's native endpoints and OpenAI's. @module */
export { type AppOptions, createApp } from "./app.ts";
export type { ServerIdentity } from "./info.ts";
export { type HttpServer, serve } from "./server.ts";
