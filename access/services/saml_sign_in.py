"""SAML sign-in in two halves: the provider's page posts the answer, which is checked; a GET then opens the session.

A POST from another site comes without our session cookie (SameSite=Lax), so the checked claims wait in the row of the
sign-in until the same browser asks for them: only the one that began it can.
"""

from django.http import HttpRequest

from access.auth import saml
from access.auth.claims import SsoFailed, read
from access.models import IdentityProvider, SsoRequest
from access.services import sso


def begin(*, request: HttpRequest, provider: IdentityProvider, back: str) -> str:
    """The provider's address to send the browser to. Raises ``SsoFailed``."""
    ours = service(request, provider)
    row = sso.remember(request=request, provider=provider, back=back, state={})
    address, request_id = saml.begin(ours, state=str(row.pk))
    SsoRequest.objects.filter(pk=row.pk).update(state={"request": request_id})
    return address


def receive(*, request: HttpRequest, provider: IdentityProvider) -> str:
    """Check what the provider's page posted; the state to complete with. Once a sign-in. Raises ``SsoFailed``."""
    row = sso.take(provider=provider, state=request.POST.get("RelayState", "")[:64])
    if "claims" in row.state:
        raise SsoFailed("This sign-in was answered already; begin again.")
    claims = saml.check(
        service(request, provider),
        response=request.POST.get("SAMLResponse", ""),
        request_id=row.state.get("request", ""),
    )
    row.state = {"claims": claims}
    row.save(force_insert=True)  # under the same id: the browser's session knows it
    return str(row.pk)


def complete(*, request: HttpRequest, provider: IdentityProvider, state: str) -> str:
    """Sign the person in; where they wanted to go. Raises ``SsoFailed``, and ``LinkNeeded``."""
    row = sso.take(provider=provider, state=state)
    sso.belongs_here(request, row)
    if "claims" not in row.state:
        raise SsoFailed("The identity provider has not answered yet; begin again.")
    arrival = read(row.state["claims"], provider.mappers, provider.data.get("mandatoryClaim"))
    return sso.arrive(request=request, provider=provider, arrival=arrival, back=row.next)


def metadata(*, request: HttpRequest, provider: IdentityProvider) -> bytes:
    return saml.metadata(service(request, provider))


def service(request: HttpRequest, provider: IdentityProvider) -> saml.Service:
    """Us, as this provider knows us, with its metadata as it is now. Raises ``SsoFailed``."""
    data = provider.data
    own = request.build_absolute_uri(f"/sso/{provider.alias}/metadata")
    text = data.get("metadataXmlFile") or saml.fetch_metadata(data["metadataXmlUrl"])
    return saml.Service(data.get("entityId") or own, sso.callback_address(request, provider), text)
