/** Text to tokens and back, and conversations to text. @module */
export { type ChatMessage, ChatTemplate } from "./chat-template.ts";
export { TextAssembler } from "./text-assembler.ts";
export { Tokenizer } from "./tokenizer.ts";
