#pragma once
// What servers say of who may use them: challenges, metadata of the resource (RFC 9728) and of its
// authorization server (RFC 8414, OpenID Connect Discovery). Pure: texts in, facts out.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

namespace json = base::json;

/// Of the Bearer scheme (RFC 6750, RFC 9728).
struct Challenge {
    std::string error, description, scope, resource_metadata;
};
/// The first Bearer challenge among these headers; empty when there is none.
Challenge read_challenge(const std::vector<std::string>& headers);

/// Scheme, host with port, and path without its last '/'. Nothing: no http or https URL.
struct UrlParts {
    std::string scheme, authority, path;
    std::string origin() const { return scheme + "://" + authority; }
};
std::optional<UrlParts> url_parts(std::string_view url);

/// Is nobody on the way able to read or change what this URL gives? https, or this machine.
bool is_safe_url(std::string_view url);

/// The name of a server as a resource (RFC 8707): no fragment, no query, no '/' at its end.
std::string resource_name(std::string_view url);

/// Where the metadata of a resource may be, best first.
std::vector<std::string> resource_metadata_urls(std::string_view server_url);
/// Where the metadata of an authorization server may be, best first.
std::vector<std::string> server_metadata_urls(std::string_view issuer);

struct ResourceMetadata {
    std::string resource;
    std::vector<std::string> authorization_servers;
    std::optional<std::vector<std::string>> scopes;
};
/// Errors: failed_precondition: it is of another resource than `server_url`, or names no
/// authorization server.
base::Result<ResourceMetadata> read_resource_metadata(const json::object& document,
                                                      std::string_view server_url);

struct AuthorizationServer {
    std::string issuer, authorization_endpoint, token_endpoint, registration_endpoint;
    std::vector<std::string> scopes, auth_methods, grants;
    bool reads_client_documents = false;  ///< client ids that are addresses of metadata
    bool says_issuer = false;             ///< `iss` is in every answer (RFC 9207)
};
/// Errors: failed_precondition: its issuer is not `issuer` to the letter, an endpoint is missing
/// or not safe, or it knows no PKCE with S256.
base::Result<AuthorizationServer> read_authorization_server(const json::object& document,
                                                            std::string_view issuer,
                                                            bool needs_code);

/// What to ask for: what the challenge says, else all the resource names, else nothing;
/// `offline_access` besides where the server has it.
std::string choose_scope(const Challenge& challenge, const ResourceMetadata& resource,
                         const AuthorizationServer& server);
/// Both, each word once, in order.
std::string scope_union(std::string_view a, std::string_view b);
/// Is every word of `a` in `b`?
bool scope_within(std::string_view a, std::string_view b);

/// "a=1&b=%20": as forms and queries say it.
std::string form_text(const std::vector<std::pair<std::string, std::string>>& fields);
/// Everything but unreserved characters as %XX.
std::string form_escape(std::string_view text);

}  // namespace agent::mcp
