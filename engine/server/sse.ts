const encoder = new TextEncoder();
/** Ends every stream of events. */
const DONE = encoder.encode("data: [DONE]\n\n");

const headers = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

/**
 * Answers with server-sent events, one per value, taken as fast as the client reads. The head is sent when the first
 * value is there, so that whatever goes wrong before has its own status; what goes wrong later is one more event.
 * @param onCancel called when the client has gone.
 * @throws whatever `events` throws before its first value.
 */
export async function eventStream(
  events: AsyncGenerator<unknown>,
  onError: (cause: unknown) => unknown,
  onCancel: () => void,
): Promise<Response> {
  let next: IteratorResult<unknown> | undefined = await events.next();
  let left = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = next ?? (await events.next());
        next = undefined;
        if (left) return;
        if (!done) return controller.enqueue(event(value));
      } catch (cause) {
        if (left) return;
        controller.enqueue(event(onError(cause)));
      }
      controller.enqueue(DONE);
      controller.close();
    },
    cancel() {
      left = true;
      onCancel();
    },
  });
  return new Response(body, { headers });
}

function event(value: unknown): Uint8Array {
  return encoder.encode(`data: ${JSON.stringify(value)}\n\n`);
}
