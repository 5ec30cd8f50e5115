"""Callbacks that failed for good, and how many wait."""

import requests

from .server import ACCOUNT_SID, AUTH_TOKEN


class Deliveries:
    """The resource, over plain HTTP."""

    def __init__(self, base_url: str, workspace_sid: str):
        self.url = f"{base_url}/pointsman/v1/Workspaces/{workspace_sid}/Deliveries"
        self.session = requests.Session()
        self.session.auth = (ACCOUNT_SID, AUTH_TOKEN)

    def page(self, **query) -> dict:
        answer = self.session.get(self.url, params=query, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def list(self, **query) -> list[dict]:
        """All of them, over all pages."""
        page = self.page(PageSize=50, **query)
        found = page["deliveries"]
        while url := page["meta"]["next_page_url"]:
            page = self.session.get(url, timeout=30).json()
            found += page["deliveries"]
        return found

    def counters(self) -> dict:
        return self.page(PageSize=1)["counters"]

    def replay(self, sid: str) -> dict:
        answer = self.session.post(f"{self.url}/{sid}", data={"Replay": "true"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def replay_all(self) -> int:
        answer = self.session.post(self.url, data={"Replay": "all"}, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.json()["truncated"] is False
        return answer.json()["replayed"]
