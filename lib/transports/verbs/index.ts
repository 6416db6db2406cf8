export {
  type Candidate,
  chooseDevices,
  describeVerdict,
  type DeviceChoice,
  type GidAttributes,
  type Verdict,
  type Wish,
} from "./device-choice.ts";
export { surveyDevices } from "./survey.ts";
export { createVerbsTransport } from "./verbs-transport.ts";
