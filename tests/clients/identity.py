"""Owns an identity provider: a certified implementation of OpenID Connect, with the users and the app of the tests."""

import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

OIDC_PROVIDER = "oidc-provider@9.13.3"
AUDIENCE = "https://sanntid.example.com"
INSTALL_MAX_SECONDS = 300
STEP_MAX_SECONDS = 30


class IdentityProvider:
    """A provider process; `ada` is in the groups `readers` and `writers`, anybody else in none."""

    def __init__(self):
        script = Path(__file__).with_name("identity.mjs")
        self._process = subprocess.Popen(
            ["node", str(script), str(self._installed()), AUDIENCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline().strip()
        if not line.startswith("issuer "):
            raise RuntimeError(f"the identity provider does not start: {line!r}")
        self.issuer = line.removeprefix("issuer ")

    @staticmethod
    def why_not() -> str | None:
        """Says why it can't be started here."""
        missing = [program for program in ("node", "npm") if shutil.which(program) is None]
        return f"there is no {missing[0]} on this machine" if missing else None

    @staticmethod
    def _installed() -> Path:
        # Beside the environments of the suite, so that it is installed once for all of them.
        room = Path(sys.prefix).parent / OIDC_PROVIDER.replace("@", "-")
        modules = room / "node_modules"
        if not (modules / "oidc-provider/lib/index.js").exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(room), OIDC_PROVIDER]
            subprocess.run(command, check=True, timeout=INSTALL_MAX_SECONDS, stdout=subprocess.DEVNULL)
        return modules

    def app_token(self, algorithm: str = "RS256") -> str:
        """What the app `crm` gets for its own secret."""
        return self._token("crm", grant_type="client_credentials", scope=algorithm)

    def user_token(self, name: str) -> str:
        """What the app `portal` gets after a user has logged in and agreed, as a browser does it."""
        browser = requests.Session()
        back = "http://127.0.0.1/back"
        query = {"client_id": "portal", "response_type": "code", "redirect_uri": back, "scope": "openid RS256"}
        answer = browser.get(f"{self.issuer}/auth", params=query, allow_redirects=False, timeout=STEP_MAX_SECONDS)
        while True:
            url = urljoin(answer.url, answer.headers["Location"])
            if url.startswith(back):
                (code,) = parse_qs(urlsplit(url).query)["code"]
                return self._token("portal", grant_type="authorization_code", code=code, redirect_uri=back)
            answer = browser.get(url, allow_redirects=False, timeout=STEP_MAX_SECONDS)
            if answer.status_code == 200:
                prompt = "login" if 'name="login"' in answer.text else "consent"
                form = {"prompt": prompt, "login": name, "password": "any"}
                answer = browser.post(url, data=form, allow_redirects=False, timeout=STEP_MAX_SECONDS)

    def _token(self, client: str, **form: str) -> str:
        login = (client, f"secret-of-{client}")
        answer = requests.post(f"{self.issuer}/token", auth=login, data=form, timeout=STEP_MAX_SECONDS)
        assert answer.ok, answer.text
        return answer.json()["access_token"]

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(STEP_MAX_SECONDS)
        self._process.stdout.close()
