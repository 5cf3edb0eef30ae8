#include "agent/mcp/client/oauth.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/mcp/client/jwt.h"
#include "agent/mcp/client/redirect_listener.h"
#include "base/core/base64.h"
#include "base/files/aead.h"
#include "base/files/sha256.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kDocumentBytes = 1 << 20;
constexpr std::chrono::milliseconds kRequestTime{30'000};
constexpr std::int64_t kEarly = 30;  ///< seconds before its end a key is not used any more

std::string text_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

std::int64_t number_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    if (found == nullptr) return 0;
    if (found->is_int64()) return found->get_int64();
    return found->is_double() ? static_cast<std::int64_t>(found->get_double()) : 0;
}

/// Of 256 bits of chance that nobody can guess.
std::string secret_text() {
    return base64_url(base::SecretKey::random().bytes());
}

std::string sha256_url(std::string_view text) {
    base::Sha256 hash;
    hash.update(std::as_bytes(std::span(text)));
    const auto digest = hash.finish();
    return base64_url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 300)) out += c < ' ' || c > '~' ? ' ' : c;
    return out;
}

/// As the error of an OAuth endpoint says it.
std::string fault_of(const json::object& answer) {
    std::string out = shown(text_in(answer, "error"));
    const std::string more = shown(text_in(answer, "error_description"));
    if (!more.empty()) out += ": " + more;
    return out.empty() ? "no reason given" : out;
}

/// The rules of RFC 9207: who answers is who was asked. A mismatch's error is not even shown.
Result<void> check_answer(const std::map<std::string, std::string>& answer,
                          const AuthorizationServer& server) {
    const auto said = answer.find("iss");
    if (said == answer.end() && server.says_issuer) {
        return base::fail(Code::permission_denied,
                          "the answer does not say that it is from {}, which always says so; it is "
                          "not used",
                          server.issuer);
    }
    if (said != answer.end() && said->second != server.issuer) {
        return base::fail(Code::permission_denied,
                          "the answer says it is from '{}', and {} was asked; it is not used",
                          shown(said->second), server.issuer);
    }
    if (const auto error = answer.find("error"); error != answer.end()) {
        const auto more = answer.find("error_description");
        return base::fail(Code::permission_denied, "{} did not agree: {}{}", server.issuer,
                          shown(error->second),
                          more != answer.end() ? " (" + shown(more->second) + ")" : "");
    }
    if (!answer.contains("code")) {
        return base::fail(Code::permission_denied, "{} answers without a code", server.issuer);
    }
    return {};
}

bool has(const std::vector<std::string>& all, std::string_view one) {
    return std::ranges::find(all, one) != all.end();
}

}  // namespace

OAuth::OAuth(OAuthOptions options, const CredentialFile& file, Consent* consent,
             const base::Clock& clock)
    : options_(std::move(options)),
      file_(file),
      consent_(consent),
      clock_(clock),
      http_(options_.http),
      name_(resource_name(options_.url)) {}

void OAuth::load() {
    if (loaded_) return;
    loaded_ = true;
    const auto kept = file_.read("tokens", name_);
    if (!kept) return;  // refused() says why, when it wants to write
    tokens_ = {.resource = text_in(*kept, "resource"),
               .issuer = text_in(*kept, "issuer"),
               .access = text_in(*kept, "access_token"),
               .refresh = text_in(*kept, "refresh_token"),
               .scope = text_in(*kept, "scope"),
               .token_endpoint = text_in(*kept, "token_endpoint"),
               .until_unix_s = number_in(*kept, "until_unix_s"),
               .client = {.id = text_in(*kept, "client_id"),
                          .secret = text_in(*kept, "client_secret"),
                          .method = text_in(*kept, "auth_method")}};
    asked_scope_ = text_in(*kept, "asked_scope");
}

Result<void> OAuth::keep() {
    return file_.write("tokens", name_,
                       json::object{{"resource", tokens_.resource},
                                    {"issuer", tokens_.issuer},
                                    {"access_token", tokens_.access},
                                    {"refresh_token", tokens_.refresh},
                                    {"scope", tokens_.scope},
                                    {"asked_scope", asked_scope_},
                                    {"token_endpoint", tokens_.token_endpoint},
                                    {"until_unix_s", tokens_.until_unix_s},
                                    {"client_id", tokens_.client.id},
                                    {"client_secret", tokens_.client.secret},
                                    {"auth_method", tokens_.client.method}});
}

Result<void> OAuth::sign_out() {
    const std::lock_guard lock(mutex_);
    tokens_ = {};
    loaded_ = true;
    return file_.write("tokens", name_, nullptr);
}

std::string OAuth::authorization() {
    const std::lock_guard lock(mutex_);
    load();
    const std::int64_t now = clock_.unix_ns() / 1'000'000'000;
    const bool old = tokens_.until_unix_s != 0 && now + kEarly >= tokens_.until_unix_s;
    // An old one is still said when there is no other: the server decides.
    if (tokens_.access.empty() || (old && !tokens_.refresh.empty())) return "";
    return "Bearer " + tokens_.access;
}

Result<void> OAuth::refused(int status, const std::vector<std::string>& challenges,
                            std::string_view used, const Stop& stop) {
    const std::lock_guard one_at_a_time(asking_mutex_);
    const std::string now = authorization();
    if (!now.empty() && now != used) return {};  // somebody else has just asked
    const Challenge challenge = read_challenge(challenges);
    std::string asked;
    bool refreshable = false;
    {
        const std::lock_guard lock(mutex_);
        asked = asked_scope_;
        refreshable = !tokens_.refresh.empty();
    }
    const bool more_rights = status == 403;
    if (more_rights && challenge.error != "insufficient_scope") {
        return base::fail(
            Code::permission_denied, "{} refuses this: {}", options_.url,
            challenge.description.empty() ? "not allowed" : shown(challenge.description));
    }
    if (more_rights && scope_within(challenge.scope, asked)) {
        return base::fail(Code::permission_denied,
                          "{} wants the rights '{}', which were asked for already and not given; "
                          "ask who runs it",
                          options_.url, shown(challenge.scope));
    }
    const ResourceMetadata resource = DG_TRY(find_resource(challenge));
    std::string issuer;
    {
        const std::lock_guard lock(mutex_);
        issuer = tokens_.issuer;
    }
    // A key of one authorization server says nothing to another.
    const bool moved = !issuer.empty() && !has(resource.authorization_servers, issuer);
    if (!more_rights && refreshable && !moved && refresh()) return {};
    Wanted wanted{resource.resource, "", DG_TRY(find_server(resource))};
    wanted.scope = choose_scope(challenge, resource, wanted.server);
    if (!moved) wanted.scope = scope_union(asked, wanted.scope);
    wanted.scope = scope_union(wanted.scope, options_.scope);
    return options_.own_behalf ? by_credentials(wanted) : by_code(wanted, stop);
}

Result<json::object> OAuth::get_json(const std::string& url, bool& missing) {
    missing = false;
    if (!is_safe_url(url)) {
        return base::fail(Code::failed_precondition,
                          "'{}' is neither https nor on this machine: what it says of keys is not "
                          "to be trusted",
                          url);
    }
    base::HttpClient::Request request;
    request.url = url;
    request.headers = {{"Accept", "application/json"}};
    request.timeout = kRequestTime;
    request.body_bytes_max = kDocumentBytes;
    const auto response = DG_TRY(http_.send(request));
    missing = response.status >= 400 && response.status < 500;
    if (response.status != 200) {
        return base::fail(Code::unavailable, "{} answers {}", url, response.status);
    }
    const auto body = base::parse_json(response.body);
    if (!body || !body->is_object()) {
        missing = true;  // a page for people, say
        return base::fail(Code::data_loss, "{} gives no JSON object", url);
    }
    return body->get_object();
}

Result<ResourceMetadata> OAuth::find_resource(const Challenge& challenge) {
    bool missing = false;
    if (!challenge.resource_metadata.empty()) {
        const json::object document = DG_TRY(get_json(challenge.resource_metadata, missing));
        return read_resource_metadata(document, options_.url);
    }
    for (const std::string& url : resource_metadata_urls(options_.url)) {
        auto document = get_json(url, missing);
        if (document) return read_resource_metadata(*document, options_.url);
        if (!missing) return std::unexpected(std::move(document).error());
    }
    // Before 2025-06-18 a server was its own authorization server.
    const auto parts = url_parts(options_.url);
    if (!parts) {
        return base::fail(Code::invalid_argument, "'{}' is no http or https URL", options_.url);
    }
    return ResourceMetadata{name_, {parts->origin()}, std::nullopt};
}

Result<AuthorizationServer> OAuth::find_server(const ResourceMetadata& resource) {
    std::string issuer = resource.authorization_servers.front();
    if (!options_.client_issuer.empty()) {
        if (!has(resource.authorization_servers, options_.client_issuer)) {
            return base::fail(Code::failed_precondition,
                              "client '{}' is registered with {}, and {} now names {}; register it "
                              "there",
                              options_.client_id, options_.client_issuer, options_.url, issuer);
        }
        issuer = options_.client_issuer;
    }
    std::string last;
    for (const std::string& url : server_metadata_urls(issuer)) {
        bool missing = false;
        auto document = get_json(url, missing);
        if (document) {
            return read_authorization_server(*document, issuer, !options_.own_behalf);
        }
        last = document.error().message;
        if (!missing) return std::unexpected(std::move(document).error());
    }
    return base::fail(Code::failed_precondition,
                      "authorization server {} says nowhere how it is to be asked (last: {})",
                      issuer, last);
}

Result<OAuth::Identity> OAuth::identity(const AuthorizationServer& server,
                                        const std::string& redirect_uri, std::uint16_t port,
                                        bool anew) {
    const auto method_for = [&](bool secret) -> std::string {
        if (!options_.private_key_pem.empty()) return "private_key_jwt";
        if (!secret) return "none";
        if (has(server.auth_methods, "client_secret_basic")) return "client_secret_basic";
        return has(server.auth_methods, "client_secret_post") ? "client_secret_post"
                                                              : "client_secret_basic";
    };
    if (!options_.client_id.empty()) {
        // One client is of one authorization server: the first that it was used with.
        const json::object bound = DG_TRY(file_.read("clients", "bound:" + name_));
        std::string before = text_in(bound, "issuer");
        {
            const std::lock_guard lock(mutex_);
            if (before.empty() && tokens_.client.id == options_.client_id) before = tokens_.issuer;
        }
        if (options_.client_issuer.empty() && !before.empty() && before != server.issuer &&
            (bound.empty() || text_in(bound, "client_id") == options_.client_id)) {
            return base::fail(
                Code::failed_precondition,
                "client '{}' was used with {}, and {} now names {}; its secret is not "
                "shown there",
                options_.client_id, before, options_.url, server.issuer);
        }
        DG_TRY(file_.write(
            "clients", "bound:" + name_,
            json::object{{"issuer", server.issuer}, {"client_id", options_.client_id}}));
        return Identity{options_.client_id, options_.client_secret,
                        method_for(!options_.client_secret.empty())};
    }
    if (options_.own_behalf) {
        return base::fail(Code::invalid_argument,
                          "asking on one's own behalf needs a registered client");
    }
    if (server.reads_client_documents && !options_.client_document.empty()) {
        return Identity{options_.client_document, "", "none"};
    }
    const json::object kept = DG_TRY(file_.read("clients", server.issuer));
    const std::string id = text_in(kept, "client_id");
    const std::int64_t until = number_in(kept, "until_unix_s");
    const bool old = until != 0 && clock_.unix_ns() / 1'000'000'000 >= until;
    if (!anew && !id.empty() && !old && text_in(kept, "redirect_uri") == redirect_uri) {
        return Identity{id, text_in(kept, "client_secret"), text_in(kept, "auth_method"), port};
    }
    return enroll(server, redirect_uri, port);
}

Result<OAuth::Identity> OAuth::enroll(const AuthorizationServer& server,
                                      const std::string& redirect_uri, std::uint16_t port) {
    if (server.registration_endpoint.empty()) {
        return base::fail(Code::failed_precondition,
                          "authorization server {} registers no clients by itself; register one "
                          "there with the redirect address {} and give its id",
                          server.issuer, redirect_uri);
    }
    const std::string wanted =
        has(server.auth_methods, "none")                  ? "none"
        : has(server.auth_methods, "client_secret_basic") ? "client_secret_basic"
        : has(server.auth_methods, "client_secret_post")  ? "client_secret_post"
                                                          : "none";
    const json::object body{{"client_name", options_.client_name},
                            {"application_type", "native"},
                            {"redirect_uris", json::array{redirect_uri}},
                            {"grant_types", json::array{"authorization_code", "refresh_token"}},
                            {"response_types", json::array{"code"}},
                            {"token_endpoint_auth_method", wanted}};
    base::HttpClient::Request request;
    request.method = "POST";
    request.url = server.registration_endpoint;
    request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    request.body = base::to_text(body);
    request.timeout = kRequestTime;
    request.body_bytes_max = kDocumentBytes;
    request.follow_redirects = false;
    const auto response = DG_TRY(http_.send(request));
    const auto parsed = base::parse_json(response.body);
    const json::object answer =
        parsed && parsed->is_object() ? parsed->get_object() : json::object();
    Identity out{text_in(answer, "client_id"), text_in(answer, "client_secret"),
                 text_in(answer, "token_endpoint_auth_method"), port};
    if (response.status / 100 != 2 || out.id.empty()) {
        return base::fail(Code::failed_precondition,
                          "authorization server {} does not register this client ({}, {}); "
                          "register one there and give its id",
                          server.issuer, response.status, fault_of(answer));
    }
    if (out.method.empty()) out.method = wanted;
    DG_TRY(
        file_.write("clients", server.issuer,
                    json::object{{"client_id", out.id},
                                 {"client_secret", out.secret},
                                 {"auth_method", out.method},
                                 {"redirect_uri", redirect_uri},
                                 {"port", port},
                                 {"until_unix_s", number_in(answer, "client_secret_expires_at")}}));
    return out;
}

Result<void> OAuth::by_code(const Wanted& wanted, const Stop& stop) {
    const AuthorizationServer& server = wanted.server;
    if (consent_ == nullptr) {
        return base::fail(Code::unauthenticated, "{} wants a person to agree, and none is here",
                          options_.url);
    }
    const std::string state = secret_text(), verifier = secret_text();
    // A registered client is known by its address, port included: the same one again, if it is
    // free.
    const json::object kept = DG_TRY(file_.read("clients", server.issuer));
    const auto known =
        static_cast<std::uint16_t>(std::clamp<std::int64_t>(number_in(kept, "port"), 0, 65'535));
    const std::uint16_t wished = options_.redirect_port != 0 ? options_.redirect_port : known;
    auto opened = RedirectListener::open(wished, state, clock_);
    if (!opened && options_.redirect_port == 0) {
        opened = RedirectListener::open(0, state, clock_);
    }
    if (!opened) return std::unexpected(std::move(opened).error());
    RedirectListener& listener = **opened;
    const Identity client = DG_TRY(identity(server, listener.uri(), listener.port(), false));
    Fields query{{"response_type", "code"},
                 {"client_id", client.id},
                 {"redirect_uri", listener.uri()},
                 {"state", state},
                 {"code_challenge", sha256_url(verifier)},
                 {"code_challenge_method", "S256"},
                 {"resource", wanted.resource}};
    if (!wanted.scope.empty()) query.emplace_back("scope", wanted.scope);
    const char* join = server.authorization_endpoint.find('?') == std::string::npos ? "?" : "&";
    DG_TRY(consent_->show(server.authorization_endpoint + join + form_text(query)));
    const base::Instant begun = clock_.now();
    const auto answer = DG_TRY(listener.wait([&]() -> std::optional<base::Error> {
        if (clock_.now() - begun > options_.consent_timeout) {
            return base::Error{Code::deadline_exceeded,
                               fmt::format("nobody agreed within {:.0f} s; try again",
                                           base::to_seconds(options_.consent_timeout)),
                               ""};
        }
        auto why = stop();
        // A person takes longer than a request may.
        if (why && why->code == Code::deadline_exceeded) return std::nullopt;
        return why;
    }));
    DG_TRY(check_answer(answer, server));
    return ask_token(wanted, client,
                     {{"grant_type", "authorization_code"},
                      {"code", answer.at("code")},
                      {"redirect_uri", listener.uri()},
                      {"code_verifier", verifier}});
}

Result<void> OAuth::by_credentials(const Wanted& wanted) {
    const Identity client = DG_TRY(identity(wanted.server, "", 0, false));
    Fields fields{{"grant_type", "client_credentials"}};
    if (!wanted.scope.empty()) fields.emplace_back("scope", wanted.scope);
    return ask_token(wanted, client, std::move(fields));
}

Result<void> OAuth::refresh() {
    Tokens now;
    Wanted wanted;
    {
        const std::lock_guard lock(mutex_);
        now = tokens_;
        wanted.scope = asked_scope_;
        tokens_.refresh.clear();  // good or not, it is not tried twice
    }
    wanted.resource = now.resource;
    wanted.server.issuer = now.issuer;
    wanted.server.token_endpoint = now.token_endpoint;
    DG_TRY(ask_token(wanted, now.client,
                     {{"grant_type", "refresh_token"}, {"refresh_token", now.refresh}}));
    const std::lock_guard lock(mutex_);
    if (!tokens_.refresh.empty()) return {};
    tokens_.refresh = now.refresh;  // it stays good until there is another
    return keep();
}

Result<void> OAuth::ask_token(const Wanted& wanted, const Identity& client, Fields fields) {
    const std::string& issuer = wanted.server.issuer;
    base::HttpClient::Request request;
    request.method = "POST";
    request.url = wanted.server.token_endpoint;
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                       {"Accept", "application/json"}};
    fields.emplace_back("resource", wanted.resource);
    if (client.method == "private_key_jwt") {
        const std::int64_t now = clock_.unix_ns() / 1'000'000'000;
        const json::object claims{{"iss", client.id}, {"sub", client.id}, {"aud", issuer},
                                  {"iat", now},       {"exp", now + 60},  {"jti", secret_text()}};
        fields.emplace_back("client_assertion_type",
                            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        fields.emplace_back("client_assertion", DG_TRY(sign_jwt(claims, options_.private_key_pem,
                                                                options_.key_algorithm)));
        fields.emplace_back("client_id", client.id);
    } else if (client.method == "client_secret_basic") {
        std::string value = "Basic ";
        base::append_base64(value, form_escape(client.id) + ":" + form_escape(client.secret));
        request.headers.emplace_back("Authorization", value);
    } else {
        fields.emplace_back("client_id", client.id);
        if (client.method == "client_secret_post") {
            fields.emplace_back("client_secret", client.secret);
        }
    }
    request.body = form_text(fields);
    request.timeout = kRequestTime;
    request.body_bytes_max = kDocumentBytes;
    request.follow_redirects = false;
    const auto response = DG_TRY(http_.send(request));
    const auto parsed = base::parse_json(response.body);
    const json::object answer =
        parsed && parsed->is_object() ? parsed->get_object() : json::object();
    const std::string access = text_in(answer, "access_token");
    if (response.status != 200 || access.empty()) {
        return base::fail(Code::permission_denied, "{} gives no key ({}, {})", issuer,
                          response.status, fault_of(answer));
    }
    const std::string type = text_in(answer, "token_type");
    if (!type.empty() && !base::http::equal_no_case(type, "Bearer")) {
        return base::fail(Code::unimplemented, "{} gives a key of type '{}'; only Bearer is known",
                          issuer, shown(type));
    }
    if (access.find_first_of(std::string_view("\r\n\0 ", 4)) != std::string::npos) {
        return base::fail(Code::data_loss, "{} gives a key that no header can carry", issuer);
    }
    const std::lock_guard lock(mutex_);
    loaded_ = true;
    const std::int64_t seconds = number_in(answer, "expires_in");
    tokens_.resource = wanted.resource;
    tokens_.issuer = issuer;
    tokens_.token_endpoint = wanted.server.token_endpoint;
    tokens_.access = access;
    tokens_.refresh = text_in(answer, "refresh_token");
    tokens_.client = client;
    tokens_.until_unix_s = seconds > 0 ? clock_.unix_ns() / 1'000'000'000 + seconds : 0;
    tokens_.scope = answer.contains("scope") ? text_in(answer, "scope") : wanted.scope;
    asked_scope_ = wanted.scope;
    return keep();
}

}  // namespace agent::mcp
