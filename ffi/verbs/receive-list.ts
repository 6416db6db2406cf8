import { structs } from "./abi/index.ts";
import { WorkRequestList, type WorkRequestListOptions } from "./work-request.ts";

/** A list of receive requests: `entry(…)` names the memory, `receive(id)` makes the request. */
export class ReceiveList extends WorkRequestList {
  constructor(options: WorkRequestListOptions) {
    super(structs.receiveWorkRequest, options);
  }

  /** Takes one message into the entries added since the previous request. */
  receive(id: number): this {
    this.begin(id);
    return this;
  }
}
