"""Owns the servers that keep buckets: moto, which speaks S3, and Azurite, which speaks Azure Blob Storage."""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

import boto3
import requests
from moto.server import ThreadedMotoServer

AZURITE = "azurite@3.37.0"
INSTALL_MAX_SECONDS = 300


class S3:
    """A server that checks signatures, with one user who may read and write the bucket `shop`."""

    def __init__(self):
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        # What moto holds is its process's: an earlier server has left its users and its strictness.
        self._moto("reset")
        self._moto("reset-auth", "inf")
        iam = self._client("iam", "first", "key")
        iam.create_user(UserName="reader")
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self.key_id, self.key = key["AccessKeyId"], key["SecretAccessKey"]
        # From here on nobody is let in without a signature.
        self._moto("reset-auth", "0")
        self._s3 = self._client("s3", self.key_id, self.key)
        self._s3.create_bucket(Bucket="shop")

    def _moto(self, what: str, data: str = "") -> None:
        requests.post(f"{self.endpoint}/moto-api/{what}", data=data, timeout=30).raise_for_status()

    def _client(self, service: str, key_id: str, key: str):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key_id,
            aws_secret_access_key=key,
        )

    def put(self, name: str, content: bytes) -> None:
        self._s3.put_object(Bucket="shop", Key=name, Body=content)

    def stop(self) -> None:
        self._server.stop()


class Azure:
    """Azurite with the container `shop`, installed from npm at the first use."""

    account = "devstoreaccount1"
    # The emulator's well-known key.
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, folder: Path):
        program = self._installed()
        command = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", str(folder)]
        # Newer versions of the protocol than it knows differ in nothing that is used here.
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if "successfully listens on" in line:
                address = line.rsplit(" ", 1)[1].strip()
                break
        else:
            raise RuntimeError(f"azurite does not start: {lines}")
        self.endpoint = f"{address}/{self.account}"
        self._send("PUT", "shop", {"restype": "container"}, b"")

    @staticmethod
    def why_not() -> str | None:
        """Says why it can't be started here."""
        missing = [program for program in ("node", "npm") if shutil.which(program) is None]
        return f"there is no {missing[0]} on this machine" if missing else None

    @staticmethod
    def _installed() -> Path:
        # Beside the environments of the suite, so that it is installed once for all of them.
        room = Path(sys.prefix).parent / AZURITE.replace("@", "-")
        program = room / "node_modules/azurite/dist/src/blob/main.js"
        if not program.exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(room), AZURITE]
            subprocess.run(command, check=True, timeout=INSTALL_MAX_SECONDS, stdout=subprocess.DEVNULL)
        return program

    def put(self, name: str, content: bytes) -> None:
        self._send("PUT", f"shop/{quote(name)}", {}, content, {"x-ms-blob-type": "BlockBlob"})

    def _send(self, method: str, path: str, query: dict, content: bytes, headers: dict | None = None) -> None:
        """Sends a request with the signature of a shared key, as the service describes it."""
        date = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"} | (headers or {})
        length = str(len(content)) if content else ""
        named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        resource = f"/{self.account}/{self.account}/{path}" + "".join(f"\n{key}:{query[key]}" for key in sorted(query))
        text = f"{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{named}{resource}"
        digest = hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        answer = requests.request(
            method, f"{self.endpoint}/{path}", params=query, data=content, headers=headers, timeout=30
        )
        assert answer.ok, f"{answer.status_code} {answer.text}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._process.stdout.close()
