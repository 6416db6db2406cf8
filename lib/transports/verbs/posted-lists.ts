/** Told when what was posted for it is in the peer's memory. */
export interface Poster {
  /** Lists with requests of its own that have not landed. */
  pending: number;
  landed(): void;
}

interface PostedList {
  readonly requests: number;
  readonly bytes: number;
  readonly posters: readonly Poster[];
}

/**
 * What of a send queue the device has, list by list in their order: only the last request of each reports, and stands
 * for all before it. Bytes count from when they are added, requests from when they are posted.
 */
export class PostedLists {
  /** Under way. */
  requests = 0;
  bytes = 0;
  landedBytes = 0;
  #posted: PostedList[] = [];
  #posters: Poster[] = [];
  #openBytes = 0;

  /** Counts a request that was added to the open list. */
  add(poster: Poster, byteLength: number): void {
    this.bytes += byteLength;
    this.#openBytes += byteLength;
    if (this.#posters.at(-1) === poster) return;
    this.#posters.push(poster);
    poster.pending++;
  }

  /** The open list has been posted. */
  post(requests: number): void {
    this.#posted.push({ requests, bytes: this.#openBytes, posters: this.#posters });
    this.requests += requests;
    this.#posters = [];
    this.#openBytes = 0;
  }

  /** The oldest list has landed. */
  complete(): readonly Poster[] {
    const list = this.#posted.shift();
    if (!list) return [];
    this.requests -= list.requests;
    this.bytes -= list.bytes;
    this.landedBytes += list.bytes;
    for (const poster of list.posters) poster.pending--;
    return list.posters;
  }

  /** Nothing more will be reported: the posters of what is left, once for each of their lists. They stay pending. */
  abandon(): Poster[] {
    const left = [...this.#posted.flatMap(({ posters }) => posters), ...this.#posters];
    this.#posted = [];
    this.#posters = [];
    this.requests = this.bytes = this.#openBytes = 0;
    return left;
  }
}
