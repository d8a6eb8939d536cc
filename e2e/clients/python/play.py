"""Plays against a real service with the client that openapi-python-client makes."""

import json
import os

from hitl import AuthenticatedClient, Client
from hitl.api.auth import login
from hitl.api.requests import create_request, get_certificate, list_requests, respond
from hitl.models import Answer, CreateRequest, CreateRequestContext, Decision, Login, Problem, RequestState

url = os.environ["HITL_URL"]
signed_in = login.sync(
    client=Client(url),
    body=Login(username=os.environ["HITL_EMAIL"], password=os.environ["HITL_PASSWORD"]),
)
agent = AuthenticatedClient(url, token=os.environ["HITL_KEY"])
person = AuthenticatedClient(url, token=signed_in.access_token)

context = CreateRequestContext.from_dict({"cost": 42.5})
made = create_request.sync(
    client=agent, body=CreateRequest(title="Asked in Python", context=context), idempotency_key="python-1"
)
page = list_requests.sync(client=person, state=RequestState.PENDING, limit=100)
answer = Answer(decision=Decision.APPROVE, comment="from Python")
answered = respond.sync(made.id, client=person, body=answer)
certificate = get_certificate.sync(made.id, client=agent)
problem = respond.sync(made.id, client=person, body=answer)
assert isinstance(problem, Problem)
later = Problem.from_dict({**problem.to_dict(), "code": "later.added"})
assert later.code == "later.added", "a code that this client does not know"

print(
    json.dumps(
        {
            "id": str(made.id),
            "listed": any(item.id == made.id for item in page.items),
            "decision": answered.response.decision,
            "comment": answered.response.comment,
            "certificate": certificate.certificate,
            "refused": {"status": problem.status, "code": problem.code, "detail": problem.detail},
        }
    )
)
