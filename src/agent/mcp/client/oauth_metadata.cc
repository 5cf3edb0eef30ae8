#include "agent/mcp/client/oauth_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cctype>

#include "base/http/message.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;
using base::http::equal_no_case;

std::string text_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

std::optional<std::vector<std::string>> texts_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    if (found == nullptr || !found->is_array()) return std::nullopt;
    std::vector<std::string> out;
    for (const json::value& one : found->get_array()) {
        if (one.is_string()) out.emplace_back(one.get_string());
    }
    return out;
}

bool flag_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_bool() && found->get_bool();
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        if (end != 0) out.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return out;
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out;
}

/// Reads `name=value` and `name="value"` of a challenge, one at a time.
class Parameters {
public:
    explicit Parameters(std::string_view text) : rest_(text) {}
    /// A parameter; nothing at the end or where the next scheme begins.
    std::optional<std::pair<std::string, std::string>> next() {
        skip(" \t,");
        const std::size_t end = rest_.find_first_of("= \t,\"");
        if (end == std::string_view::npos || end == 0 || rest_[end] != '=') return std::nullopt;
        std::string name(rest_.substr(0, end));
        rest_.remove_prefix(end + 1);
        std::string value;
        if (rest_.starts_with('"')) {
            rest_.remove_prefix(1);
            while (!rest_.empty() && rest_.front() != '"') {
                if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
                value += rest_.front();
                rest_.remove_prefix(1);
            }
            if (!rest_.empty()) rest_.remove_prefix(1);
        } else {
            const std::size_t stop = rest_.find_first_of(" \t,");
            value = rest_.substr(0, stop);
            rest_.remove_prefix(stop == std::string_view::npos ? rest_.size() : stop);
        }
        return std::pair(std::move(name), std::move(value));
    }

private:
    void skip(std::string_view what) {
        while (!rest_.empty() && what.find(rest_.front()) != std::string_view::npos) {
            rest_.remove_prefix(1);
        }
    }
    std::string_view rest_;
};

/// Where the Bearer scheme's parameters begin, if it is in this header.
std::optional<std::string_view> after_bearer(std::string_view header) {
    constexpr std::string_view kScheme = "Bearer";
    bool quoted = false;
    for (std::size_t at = 0; at < header.size(); ++at) {
        if (header[at] == '"') quoted = !quoted;
        if (quoted || header.size() - at < kScheme.size()) continue;
        const bool begins = at == 0 || header[at - 1] == ' ' || header[at - 1] == ',';
        const std::string_view after = header.substr(at + kScheme.size());
        if (begins && equal_no_case(header.substr(at, kScheme.size()), kScheme) &&
            (after.empty() || after.front() == ' ')) {
            return after;
        }
    }
    return std::nullopt;
}

/// What is on this machine, and cannot be anywhere else.
bool is_loopback(std::string_view host) {
    return equal_no_case(host, "localhost") || host == "[::1]" || host == "127.0.0.1" ||
           host.ends_with(".localhost") ||
           (host.starts_with("127.") &&
            host.find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace

Challenge read_challenge(const std::vector<std::string>& headers) {
    Challenge out;
    for (const std::string& header : headers) {
        const auto begin = after_bearer(header);
        if (!begin) continue;
        Parameters parameters(*begin);
        while (const auto one = parameters.next()) {
            const auto& [name, value] = *one;
            if (equal_no_case(name, "error")) out.error = value;
            if (equal_no_case(name, "error_description")) out.description = value;
            if (equal_no_case(name, "scope")) out.scope = value;
            if (equal_no_case(name, "resource_metadata")) out.resource_metadata = value;
        }
        return out;
    }
    return out;
}

std::optional<UrlParts> url_parts(std::string_view url) {
    const auto parsed = boost::urls::parse_uri({url.data(), url.size()});
    if (!parsed || parsed->host().empty()) return std::nullopt;
    UrlParts out;
    for (const char c : parsed->scheme()) {
        out.scheme += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if ((out.scheme != "http" && out.scheme != "https") || parsed->has_userinfo()) {
        return std::nullopt;
    }
    for (const char c : parsed->encoded_host_and_port()) {
        out.authority += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    const auto path = parsed->encoded_path();
    out.path.assign(path.data(), path.size());
    while (out.path.ends_with('/')) out.path.pop_back();
    return out;
}

bool is_safe_url(std::string_view url) {
    const auto parts = url_parts(url);
    if (!parts) return false;
    const std::size_t colon = parts->authority.rfind(':');
    const bool port =
        colon != std::string::npos && parts->authority.find(']', colon) == std::string::npos;
    return parts->scheme == "https" ||
           is_loopback(
               std::string_view(parts->authority).substr(0, port ? colon : std::string::npos));
}

std::string resource_name(std::string_view url) {
    const auto parts = url_parts(url);
    return parts ? parts->origin() + parts->path : std::string(url);
}

std::vector<std::string> resource_metadata_urls(std::string_view server_url) {
    constexpr std::string_view kWellKnown = "/.well-known/oauth-protected-resource";
    const auto parts = url_parts(server_url);
    if (!parts) return {};
    std::vector<std::string> out;
    if (!parts->path.empty()) {
        out.push_back(fmt::format("{}{}{}", parts->origin(), kWellKnown, parts->path));
    }
    out.push_back(fmt::format("{}{}", parts->origin(), kWellKnown));
    return out;
}

std::vector<std::string> server_metadata_urls(std::string_view issuer) {
    constexpr std::string_view kOAuth = "/.well-known/oauth-authorization-server";
    constexpr std::string_view kOpenId = "/.well-known/openid-configuration";
    const auto parts = url_parts(issuer);
    if (!parts) return {};
    const std::string origin = parts->origin();
    if (parts->path.empty())
        return {fmt::format("{}{}", origin, kOAuth), fmt::format("{}{}", origin, kOpenId)};
    return {fmt::format("{}{}{}", origin, kOAuth, parts->path),
            fmt::format("{}{}{}", origin, kOpenId, parts->path),
            fmt::format("{}{}{}", origin, parts->path, kOpenId)};
}

Result<ResourceMetadata> read_resource_metadata(const json::object& document,
                                                std::string_view server_url) {
    ResourceMetadata out;
    out.resource = text_in(document, "resource");
    const auto said = url_parts(out.resource);
    const auto wanted = url_parts(server_url);
    const bool within = said && wanted && said->origin() == wanted->origin() &&
                        (wanted->path == said->path || wanted->path.starts_with(said->path + "/"));
    if (!within) {
        return base::fail(Code::failed_precondition,
                          "the metadata of {} is of another resource, '{}'; a key for that one is "
                          "not asked for",
                          server_url, out.resource);
    }
    out.authorization_servers =
        texts_in(document, "authorization_servers").value_or(std::vector<std::string>());
    out.scopes = texts_in(document, "scopes_supported");
    if (out.authorization_servers.empty()) {
        return base::fail(Code::failed_precondition,
                          "the metadata of {} names no authorization server", server_url);
    }
    return out;
}

Result<AuthorizationServer> read_authorization_server(const json::object& document,
                                                      std::string_view issuer, bool needs_code) {
    AuthorizationServer out;
    out.issuer = text_in(document, "issuer");
    if (out.issuer != issuer) {
        return base::fail(Code::failed_precondition,
                          "the metadata of authorization server {} says it is of '{}'; it is not "
                          "used",
                          issuer, out.issuer);
    }
    out.authorization_endpoint = text_in(document, "authorization_endpoint");
    out.token_endpoint = text_in(document, "token_endpoint");
    out.registration_endpoint = text_in(document, "registration_endpoint");
    out.scopes = texts_in(document, "scopes_supported").value_or(std::vector<std::string>());
    out.auth_methods = texts_in(document, "token_endpoint_auth_methods_supported")
                           .value_or(std::vector<std::string>{"client_secret_basic"});
    out.grants = texts_in(document, "grant_types_supported").value_or(std::vector<std::string>());
    out.reads_client_documents = flag_in(document, "client_id_metadata_document_supported");
    out.says_issuer = flag_in(document, "authorization_response_iss_parameter_supported");
    const auto safe = [&](std::string_view name, const std::string& url,
                          bool needed) -> Result<void> {
        if ((url.empty() && !needed) || is_safe_url(url)) return {};
        return base::fail(Code::failed_precondition,
                          "{} of authorization server {} is '{}', which is neither https nor on "
                          "this machine",
                          name, issuer, url);
    };
    DG_TRY(safe("the token endpoint", out.token_endpoint, true));
    DG_TRY(safe("the registration endpoint", out.registration_endpoint, false));
    if (!needs_code) return out;
    DG_TRY(safe("the authorization endpoint", out.authorization_endpoint, true));
    const auto methods = texts_in(document, "code_challenge_methods_supported");
    if (!methods || std::ranges::find(*methods, "S256") == methods->end()) {
        return base::fail(Code::failed_precondition,
                          "authorization server {} does not say that it knows PKCE with S256; "
                          "without it a code could be stolen on its way",
                          issuer);
    }
    return out;
}

std::string choose_scope(const Challenge& challenge, const ResourceMetadata& resource,
                         const AuthorizationServer& server) {
    std::string scope = challenge.scope;
    if (scope.empty() && resource.scopes) scope = joined(*resource.scopes);
    const bool offline = std::ranges::find(server.scopes, "offline_access") != server.scopes.end();
    return offline ? scope_union(scope, "offline_access") : scope;
}

std::string scope_union(std::string_view a, std::string_view b) {
    std::vector<std::string> words = words_of(a);
    for (const std::string& word : words_of(b)) {
        if (std::ranges::find(words, word) == words.end()) words.push_back(word);
    }
    return joined(words);
}

bool scope_within(std::string_view a, std::string_view b) {
    const std::vector<std::string> have = words_of(b);
    return std::ranges::all_of(words_of(a), [&](const std::string& word) {
        return std::ranges::find(have, word) != have.end();
    });
}

std::string form_escape(std::string_view text) {
    constexpr std::string_view kPlain = "-._~";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || kPlain.find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string form_text(const std::vector<std::pair<std::string, std::string>>& fields) {
    std::string out;
    for (const auto& [name, value] : fields) {
        if (!out.empty()) out += '&';
        out += form_escape(name) + "=" + form_escape(value);
    }
    return out;
}

}  // namespace agent::mcp
