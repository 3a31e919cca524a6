// Sending in parts, and going on with what the service has already: parts whose digests agree are passed
// over. It can be paused, and waits for a network that is away.

import { ApiError, get, post } from "../../core/api.js";
import { isQuick, sha256 } from "./digest.js";
import { begin, begun, plan } from "./parts.js";
import { patiently } from "./patience.js";
import { putPart } from "./put_part.js";
import { forget, remember, whileSending } from "./remembered.js";

const IN_FLIGHT = 2; // parts
const COMPLETION = 120_000; // milliseconds until it is asked for again; the service works on meanwhile
const REFUSED = [400, 413]; // it will not be accepted another time either

export class Sending {
  state = "looking"; // then "sending", "waiting", "paused", "completing"
  trouble = null; // why it waits
  passed = 0; // bytes that the service had before
  isAnother = false; // whether what had been begun under this name and size was something else
  upload = null;
  #sent = 0;
  #inFlight = new Map(); // bytes on their way, by part
  #done = new Set();
  #there = new Map(); // digests of what the service had, by part
  #end = new AbortController();
  #turn = null; // ends with a pause
  #pause = null;

  /** `source`: {name, size, type, folder, files, read(start, end)}; `tell()` is called when something changed. */
  constructor(source, tell) {
    this.source = source;
    this.tell = tell;
  }

  /** Bytes that the service has, and those on their way. */
  get sent() {
    return this.#sent + [...this.#inFlight.values()].reduce((sum, each) => sum + each, 0);
  }

  get canPause() {
    return this.#turn !== null;
  }

  /** Resolves to the file that came of it. Throws ApiError with the service's sentence, or the AbortError of `stop`. */
  async run() {
    try {
      await this.#sendWhatIsMissing();
      return await this.#completed();
    } catch (error) {
      if (error.code !== "upload_not_pending") throw error;
      const { file } = await get(`/v1/uploads/${this.upload.id}`);
      if (!file) throw error;
      return file; // another tab was quicker
    } finally {
      this.#turn = null;
    }
  }

  pause() {
    if (!this.canPause || this.#pause) return;
    this.#pause = Promise.withResolvers();
    this.#turn.abort(new Paused());
    this.#become("paused");
  }

  goOn() {
    this.#pause?.resolve();
  }

  /** For good. What was sent stays with the service. */
  stop() {
    this.#end.abort();
    this.goOn();
  }

  /** Nothing of it is kept. */
  async discard() {
    if (!this.upload) return;
    await post(`/v1/uploads/${this.upload.id}/cancel`, {});
    forget(this.upload.id);
  }

  async #sendWhatIsMissing() {
    await this.#use(begun);
    try {
      await whileSending(this.upload.id, () => this.#sendAll());
    } catch (error) {
      if (!isOfAnother(error) || this.isAnother) throw error;
      this.isAnother = true;
      await this.#use(begin);
      await whileSending(this.upload.id, () => this.#sendAll());
    }
  }

  async #use(way) {
    const { signal } = this.#end;
    const { upload, there } = await this.#patiently("looking", () => way(this.source, signal), signal);
    [this.upload, this.#there] = [upload, there];
    this.#done.clear();
    [this.#sent, this.passed] = [0, 0];
    remember(upload.id, this.source);
  }

  async #sendAll() {
    for (;;) {
      try {
        return await this.#sendUntilPause();
      } catch (error) {
        if (!(error instanceof Paused)) throw error;
        await this.#pause.promise;
        this.#pause = null;
        this.#end.signal.throwIfAborted();
        this.#become("sending");
      }
    }
  }

  async #sendUntilPause() {
    this.#turn = new AbortController();
    const signal = AbortSignal.any([this.#end.signal, this.#turn.signal]);
    const ranges = plan(this.source.size);
    let next = 1;
    const lane = async () => {
      while (next <= ranges.length) {
        signal.throwIfAborted();
        const number = next;
        next += 1;
        if (!this.#done.has(number)) await this.#send(number, ...ranges[number - 1], signal);
      }
    };
    const lanes = Array.from({ length: IN_FLIGHT }, lane);
    try {
      await Promise.all(lanes);
    } catch (error) {
      this.#turn.abort(error); // what stops one lane stops the other
      await Promise.allSettled(lanes);
      throw error;
    } finally {
      this.#inFlight.clear();
    }
  }

  async #send(number, start, end, signal) {
    const bytes = await this.source.read(start, end);
    signal.throwIfAborted();
    const there = this.#there.get(number);
    const digest = there || isQuick ? await sha256(bytes) : null;
    if (there && there !== digest) throw new AnotherFile();
    if (there) this.passed += bytes.length;
    else await this.#patiently("sending", () => this.#put(number, bytes, digest, signal), signal);
    this.#done.add(number);
    this.#sent += bytes.length;
    if (!signal.aborted) this.#become("sending");
  }

  async #put(number, bytes, digest, signal) {
    const progress = (out) => {
      this.#inFlight.set(number, out);
      if (!signal.aborted) this.#become("sending");
    };
    try {
      await putPart(this.upload, number, bytes, digest, { signal, progress });
    } finally {
      this.#inFlight.delete(number);
    }
  }

  async #completed() {
    this.#turn = null;
    const { signal } = this.#end;
    const soon = () => AbortSignal.any([signal, AbortSignal.timeout(COMPLETION)]);
    const complete = () => post(`/v1/uploads/${this.upload.id}/complete`, {}, { signal: soon() });
    try {
      const { file } = await this.#patiently("completing", complete, signal);
      forget(this.upload.id);
      return file;
    } catch (error) {
      if (REFUSED.includes(error.status)) await this.discard().catch(() => {}); // else it is listed as unfinished
      throw error;
    }
  }

  #patiently(state, work, signal) {
    const attempt = () => {
      this.#become(state);
      return work();
    };
    return patiently(attempt, { signal, trouble: (error) => this.#become("waiting", error) });
  }

  #become(state, trouble = null) {
    [this.state, this.trouble] = [state, trouble];
    this.tell();
  }
}

class AnotherFile extends Error {}

class Paused extends Error {}

const isOfAnother = (error) => error instanceof AnotherFile || (error instanceof ApiError && error.code === "part_differs");
