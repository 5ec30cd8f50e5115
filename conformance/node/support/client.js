// The official library pointed at another host. Scheme and host are replaced; nothing else is touched.

import twilio from "twilio";
import { ACCOUNT_SID, AUTH_TOKEN } from "./server.js";

const HOSTED = ["https://taskrouter.twilio.com", "https://api.twilio.com"];

/** The library's own HTTP client with another base URL. */
class BaseUrlClient extends twilio.RequestClient {
  constructor(baseUrl) {
    super({ timeout: 30_000 });
    this.baseUrl = baseUrl;
  }

  request(options) {
    const hosted = HOSTED.find((host) => options.uri.startsWith(`${host}/`));
    const uri = hosted ? this.baseUrl + options.uri.slice(hosted.length) : options.uri;
    return super.request({ ...options, uri });
  }
}

/** A client of the official library that talks to `baseUrl`. */
export function connect(baseUrl, username = ACCOUNT_SID, password = AUTH_TOKEN) {
  return twilio(username, password, { accountSid: ACCOUNT_SID, httpClient: new BaseUrlClient(baseUrl) });
}
