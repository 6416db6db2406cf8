import { now } from "../clock.ts";
import type { UpstreamError } from "../upstream/index.ts";
import { abortOn, ABORT_GRACE } from "./abort.ts";
import { ClientStream, type ClientStreamOwner } from "./client-stream.ts";
import { overdue, streamIdle } from "./deadlines.ts";
import { DONE_EVENT, firstEventEnd } from "./events.ts";
import { clientGone, errorBody, unblamed, type Answer, type Failure } from "./failure.ts";
import { Leg, type LegOwner } from "./leg.ts";
import type { TimeLimits } from "./limits.ts";
import type { AttemptObserver, AttemptPlan, Outcome, OutcomeOwner } from "./plan.ts";
import { EMPTY_STREAM, refusalInEvent, refusalOf, transportFailure } from "./refusal.ts";

const EMPTY = Buffer.alloc(0);

/**
 * One request on one pair of workers with one room: both legs at once, decode's answer passed on as soon as it speaks, and
 * when anything goes wrong before that, the other side told by `/abort_request`, because an engine left alone with half a
 * pair holds its slot for minutes.
 */
export class Attempt implements LegOwner, ClientStreamOwner {
  readonly plan: AttemptPlan;
  readonly prefill: Leg;
  readonly decode: Leg;
  readonly #limits: TimeLimits;
  readonly #owner: OutcomeOwner;
  readonly #observer: AttemptObserver;
  readonly startedAt = now();
  firstOutputAt = 0;
  prefillAt = 0;
  endedAt = 0;
  /** Why it did not end well, for logs. */
  failure: Failure | undefined;
  #settled = false;
  #stream: ClientStream | undefined;
  #early: Buffer | undefined;
  #inspected = false;
  #lastOutputAt = 0;
  #behind = false;
  #aborted = false;
  /** The client asked for the end. */
  #unwanted = false;
  #lettingGo = false;
  #decodeOverAt = 0;
  #openLegs = 2;
  /** Only a stream's end is waited for. */
  #decodeOver: (() => void) | undefined;

  constructor(plan: AttemptPlan, limits: TimeLimits, observer: AttemptObserver, owner: OutcomeOwner) {
    this.plan = plan;
    this.#limits = limits;
    this.#observer = observer;
    this.#owner = owner;
    this.prefill = new Leg("prefill", plan.prefill, this);
    this.decode = new Leg("decode", plan.decode, this);
  }

  get phase(): "dispatched" | "accepted" | "streaming" | "done" {
    if (this.#stream !== undefined && !this.decode.ended) return "streaming";
    if (this.#settled) return "done";
    return this.decode.head === undefined ? "dispatched" : "accepted";
  }

  /** Given up, but an engine has not let go yet. */
  get orphaned(): boolean {
    return this.#aborted && this.#openLegs > 0;
  }

  start(): void {
    const { plan } = this;
    plan.prefill.begin(plan.tokens);
    plan.decode.begin(plan.tokens);
    this.prefill.send(plan, plan.prefillMessage);
    this.decode.send(plan, plan.decodeMessage);
  }

  /** The client is gone, or another attempt of the same request has failed. */
  cancel(message: string): void {
    if (this.phase === "streaming") {
      // Decode has spoken, so the transfer is over and closing is enough; a prefill still silent is told, to be sure.
      this.failure = clientGone(message);
      this.#drop(this.decode);
      this.#letGo();
    } else if (!this.#settled) {
      this.#fail(clientGone(message));
    }
  }

  /** Asks both engines to end the request; what they answer then goes to the client, as without a load balancer. */
  abort(): void {
    this.#unwanted = true;
    for (const leg of [this.prefill, this.decode]) {
      const { rid, decodeMessage, ownKeys } = this.plan;
      if (!leg.ended) abortOn(leg.worker, rid, decodeMessage.fields, ownKeys);
    }
  }

  /** Enforces the deadlines; called a few times a second. */
  sweep(time: number): void {
    const limits = this.#limits;
    if (this.phase === "streaming") {
      if (time - this.#lastOutputAt <= limits.idle) return;
      if (this.#behind) this.cancel("the client stopped reading");
      else this.#breakStream(streamIdle(limits));
    } else if (this.#settled) {
      // Decode is done with: a prefill that still has not answered by now never will.
      if (this.#decodeOverAt > 0 && time - this.#decodeOverAt > limits.prefillAfterDecode) this.#letGo();
    } else {
      const failure = overdue(this, limits, time);
      if (failure !== undefined) this.#fail(failure);
    }
  }

  onLegHead(leg: Leg): void {
    if (leg === this.prefill) {
      leg.discard = leg.ok && !leg.events && !this.plan.awaitPrefill;
    } else if (leg.ok && leg.events) {
      leg.collect = false;
    }
  }

  onLegBody(_leg: Leg, slice: Buffer, chunks: number): void {
    const stream = this.#stream;
    if (stream === undefined) return this.#firstOutput(slice);
    const time = now();
    this.#observer.onOutput(this, time - this.#lastOutputAt, chunks);
    this.#lastOutputAt = time;
    if (stream.write(slice)) return;
    this.#behind = true;
    this.decode.pause();
  }

  onLegEnd(leg: Leg): void {
    // What an engine answers to a request that we aborted says nothing.
    if (!this.#aborted) {
      if (leg === this.prefill) this.#prefillEnded(leg);
      else this.#decodeEnded(leg);
    }
    this.#legOver(leg);
  }

  onLegFailure(leg: Leg, error: UpstreamError): void {
    if (this.#aborted) return this.#legOver(leg);
    const failure = transportFailure(leg.name, error);
    if (leg === this.decode && this.#stream !== undefined) this.#breakStream(failure);
    else if (this.#settled) this.#verdict(failure);
    else this.#fail(failure);
    this.#legOver(leg);
  }

  onClientReady(): void {
    this.#behind = false;
    this.#lastOutputAt = now();
    this.decode.resume();
  }

  onClientGone(): void {
    this.cancel("the client closed its connection");
  }

  #prefillEnded(leg: Leg): void {
    this.prefillAt = now();
    this.#observer.onPrefillAnswer(this);
    const failure = refusalOf(leg);
    if (failure === undefined) {
      this.#observer.onVerdict(this, leg.worker, true, "answered");
      if (this.plan.awaitPrefill) this.#mergeReady();
    } else if (this.#settled) this.#verdict(failure);
    else if (!this.#unwanted) this.#fail(failure);
    // Decode's word on the abort is the client's answer, if it comes.
    else setTimeout(() => this.#fail(failure), ABORT_GRACE);
  }

  #decodeEnded(leg: Leg): void {
    if (this.#stream !== undefined) {
      this.#stream.end();
      return;
    }
    if (this.#settled) return;
    if (!leg.collect) {
      if (this.#early === undefined && !this.#inspected) this.#fail(EMPTY_STREAM);
      else if (!this.plan.awaitPrefill || this.prefill.ended) this.#beginStream(this.#early ?? EMPTY);
      return;
    }
    const failure = refusalOf(leg);
    if (failure !== undefined) return this.#fail(failure);
    this.#observer.onVerdict(this, leg.worker, true, "answered");
    if (!this.plan.awaitPrefill || this.prefill.ended) this.#wholeAnswer();
  }

  /** Prefill's part has come: pass on what waited for it. */
  #mergeReady(): void {
    if (this.#settled) return;
    if (this.#inspected) this.#beginStream(this.#early ?? EMPTY);
    else if (this.decode.ended) this.#wholeAnswer();
  }

  #wholeAnswer(): void {
    this.firstOutputAt = now();
    this.#observer.onFirstOutput(this);
    const answer = this.decode.answer();
    const { rewrite } = this.plan;
    const body = rewrite === undefined ? answer.body : rewrite(answer.body, false, this.#prefillAnswer());
    this.#finish({ kind: "answer", answer: { status: answer.status, fields: answer.fields, body } });
  }

  #firstOutput(slice: Buffer): void {
    const early = this.#early === undefined ? slice : Buffer.concat([this.#early, slice]);
    this.#early = early;
    if (!this.#inspected) {
      const end = firstEventEnd(early);
      if (end < 0) return;
      this.#inspected = true;
      const failure = refusalInEvent("decode", early.subarray(0, end));
      if (failure !== undefined) return this.#fail(failure);
      this.#observer.onVerdict(this, this.decode.worker, true, "first output");
    }
    if (this.plan.awaitPrefill && !this.prefill.ended) this.decode.pause();
    else this.#beginStream(early);
  }

  #beginStream(early: Buffer): void {
    const { head } = this.decode;
    const stream = new ClientStream(this);
    const { rewrite } = this.plan;
    if (rewrite !== undefined) stream.rewrite = (events) => rewrite(events, true, this.#prefillAnswer());
    this.#stream = stream;
    this.#early = undefined;
    this.firstOutputAt = now();
    this.#lastOutputAt = this.firstOutputAt;
    this.#observer.onFirstOutput(this);
    this.decode.resume();
    stream.write(early);
    if (this.decode.ended) stream.end();
    this.#finish({
      kind: "stream",
      head: { status: head!.status, fields: head!.fields, body: EMPTY },
      events: stream,
      closed: this.decode.ended ? Promise.resolve() : new Promise<void>((resolve) => (this.#decodeOver = resolve)),
    });
  }

  #prefillAnswer(): Answer | undefined {
    return this.plan.awaitPrefill ? this.prefill.answer() : undefined;
  }

  #breakStream(failure: Failure): void {
    this.failure = failure;
    this.#verdict(failure);
    this.#stream?.fail(`data: ${errorBody(failure.status, failure.code, failure.message)}\n\n${DONE_EVENT}`);
    this.#drop(this.decode);
    this.#letGo();
  }

  #fail(cause: Failure): void {
    if (this.#settled) return;
    const failure = this.#unwanted ? unblamed(cause) : cause;
    this.failure = failure;
    this.#aborted = true;
    this.#verdict(failure);
    this.#finish({ kind: "failure", failure });
    for (const leg of [this.prefill, this.decode]) leg.ignore();
    this.#letGo();
  }

  /** Has the engines give up what still runs. An aborted engine answers the waiting request; one that does not is cut off. */
  #letGo(): void {
    if (this.#openLegs === 0 || this.#lettingGo) return;
    this.#lettingGo = true;
    this.#aborted = true;
    this.abort();
    setTimeout(() => [this.prefill, this.decode].forEach((leg) => this.#drop(leg)), ABORT_GRACE);
  }

  #verdict(failure: Failure): void {
    if (failure.blame !== "prefill" && failure.blame !== "decode") return;
    this.#observer.onVerdict(this, this.plan[failure.blame], false, failure.code);
  }

  #finish(outcome: Outcome): void {
    this.#settled = true;
    this.#owner.onOutcome(outcome);
  }

  #drop(leg: Leg): void {
    if (leg.ended) return;
    leg.cancel();
    this.#legOver(leg);
  }

  #legOver(leg: Leg): void {
    leg.worker.end(this.plan.tokens);
    if (leg === this.decode) {
      this.#decodeOverAt = now();
      this.#decodeOver?.();
    }
    if (--this.#openLegs > 0) return;
    this.endedAt = now();
    this.#observer.onClosed(this);
  }
}
