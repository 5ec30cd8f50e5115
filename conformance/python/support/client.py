"""The official library pointed at another host. Scheme and host are replaced; nothing else is touched."""

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from .server import ACCOUNT_SID, AUTH_TOKEN

HOSTED = ("https://taskrouter.twilio.com", "https://api.twilio.com")


@dataclass(frozen=True)
class Exchange:
    """One request of the library and what came back, for tests that look at the wire."""

    method: str
    url: str
    status: int
    headers: CaseInsensitiveDict
    text: str

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def json(self):
        return json.loads(self.text)


class BaseUrlClient(TwilioHttpClient):
    """The library's own HTTP client with another base URL. It remembers the last exchange."""

    def __init__(self, base_url: str):
        super().__init__(timeout=30)
        self.base_url = base_url
        self.last: Exchange | None = None

    def request(self, method, url, *args, **kwargs):
        for hosted in HOSTED:
            if url.startswith(hosted + "/"):
                url = self.base_url + url[len(hosted) :]
        response = super().request(method, url, *args, **kwargs)
        self.last = Exchange(method.upper(), url, response.status_code, response.headers, response.text)
        return response


def connect(base_url: str, username: str = ACCOUNT_SID, password: str = AUTH_TOKEN) -> Client:
    """A client of the official library that talks to `base_url`."""
    return Client(username, password, ACCOUNT_SID, http_client=BaseUrlClient(base_url))


def last(client: Client) -> Exchange:
    """The last exchange of this client."""
    exchange = client.http_client.last
    assert exchange is not None
    return exchange
