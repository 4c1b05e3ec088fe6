"""A mail server of Debian's aiosmtpd: keeps each letter as a file, and says on its first line where it listens.

Mailboxes called `nobody` do not exist, those called `busy` are to be tried later. Without a certificate it speaks no TLS.
"""

import asyncio
import itertools
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder, certificate, key, user, password = sys.argv[1:]
numbers = itertools.count(1)


class Mailboxes:
    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.partition("@")[0]
        if name == "nobody":
            return "550 5.1.1 no such mailbox"
        if name == "busy":
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = pathlib.Path(folder, f"{next(numbers)}.part")
        letter.write_bytes(envelope.content)
        letter.rename(letter.with_suffix(".eml"))
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = LoginPassword(user.encode(), password.encode())
    return AuthResult(success=data == known, handled=False)


def connection():
    if not certificate:
        return SMTP(Mailboxes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return SMTP(
        Mailboxes(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
