#include "agent/mcp/client/conformance.h"

#include <fmt/format.h>

#include <memory>
#include <set>

#include "agent/mcp/client/client.h"
#include "agent/mcp/client/http_transport.h"
#include "agent/mcp/client/oauth.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

std::string text_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

/// Agrees to everything, as the suite's authorization server does.
class AgreesAtOnce final : public Consent {
public:
    Result<void> show(const std::string& url) override {
        base::HttpClient::Request request;
        request.url = url;
        request.timeout = std::chrono::milliseconds(10'000);
        DG_TRY(base::HttpClient().send(request));
        return {};
    }
};

/// Fills in forms: what they need and have no default for is true.
class FillsForms final : public Host {
public:
    std::function<void()> meanwhile;  ///< done before the first answer

    json::object capabilities() const override {
        return {{"elicitation", {{"form", json::object()}}}};
    }
    Result<json::object> answer(std::string_view, const json::object& params,
                                const Stop&) override {
        if (meanwhile) std::exchange(meanwhile, nullptr)();
        json::object content;
        const json::value* form = params.if_contains("requestedSchema");
        const json::value* rules = form != nullptr && form->is_object()
                                       ? form->get_object().if_contains("properties")
                                       : nullptr;
        if (rules != nullptr && rules->is_object()) {
            for (const auto& [name, rule] : rules->get_object()) {
                const json::object* field = rule.if_object();
                if (field != nullptr && !field->contains("default") &&
                    text_in(*field, "type") == "boolean") {
                    content[name] = true;
                }
            }
        }
        return json::object{{"action", "accept"}, {"content", std::move(content)}};
    }
    void warn(std::string_view what) override { fmt::print(stderr, "{}\n", what); }
};

Result<void> list_and_call(Client& client, const json::object& arguments) {
    for (const json::object& tool : DG_TRY(client.list(Client::Kind::tools))) {
        DG_TRY(client.call_tool(text_in(tool, "name"), arguments));
    }
    return {};
}

Result<void> use_everything(Client& client) {
    DG_TRY(list_and_call(client, {}));
    for (const json::object& one : DG_TRY(client.list(Client::Kind::resources))) {
        DG_TRY(client.read_resource(text_in(one, "uri")));
    }
    for (const json::object& one : DG_TRY(client.list(Client::Kind::prompts))) {
        DG_TRY(client.get_prompt(text_in(one, "name"), {}));
    }
    return {};
}

Result<void> calls_of_context(Client& client, const json::object& context) {
    DG_TRY(client.list(Client::Kind::tools));
    const json::value* calls = context.if_contains("toolCalls");
    if (calls == nullptr || !calls->is_array()) {
        return base::fail(Code::invalid_argument, "the context has no 'toolCalls'");
    }
    for (const json::value& call : calls->get_array()) {
        const json::object& one = call.as_object();
        DG_TRY(client.call_tool(text_in(one, "name"), one.at("arguments").as_object()));
    }
    return {};
}

/// Says a schema back as it came.
Result<void> echo_schema(Client& client) {
    for (const json::object& tool : DG_TRY(client.list(Client::Kind::tools))) {
        if (text_in(tool, "name") != "json_schema_2020_12_tool") continue;
        DG_TRY(client.call_tool("json_schema_echo", {{"schema", tool.at("inputSchema")}}));
        return {};
    }
    return base::fail(Code::not_found, "no tool json_schema_2020_12_tool");
}

Result<void> rounds(Client& client, FillsForms& host) {
    host.meanwhile = [&client] { static_cast<void>(client.call_tool("test_mrtr_unrelated", {})); };
    for (const char* tool :
         {"test_mrtr_echo_state", "test_mrtr_no_state", "test_mrtr_no_result_type"}) {
        DG_TRY(client.call_tool(tool, {}));
    }
    return {};
}

Result<void> run(const ClientScenario& scenario, Client& client, FillsForms& host) {
    const std::string& name = scenario.name;
    if (name == "initialize" || name == "request-metadata" || name == "json-schema-ref-no-deref") {
        DG_TRY(client.list(Client::Kind::tools));
        return {};
    }
    if (name == "tools_call" || name == "tools-call") {
        return list_and_call(client, {{"a", 5}, {"b", 3}});
    }
    if (name == "http-standard-headers") return use_everything(client);
    if (name == "http-custom-headers") return calls_of_context(client, scenario.context);
    if (name == "http-invalid-tool-headers") return list_and_call(client, {{"region", "here"}});
    if (name == "json-schema-2020-12-preservation") return echo_schema(client);
    if (name == "sep-2322-client-request-state") return rounds(client, host);
    if (name == "sse-retry" || name.starts_with("elicitation-") || name.starts_with("auth/")) {
        return list_and_call(client, {});
    }
    return base::fail(Code::unimplemented, "scenario '{}' is not known", name);
}

}  // namespace

Result<void> run_client_scenario(const ClientScenario& scenario, const base::Clock& clock) {
    static const std::set<std::string, std::less<>> kOtherKeys = {
        "auth/dpop", "auth/dpop-nonce", "auth/enterprise-managed-authorization",
        "auth/wif-jwt-bearer"};
    if (kOtherKeys.contains(scenario.name)) {
        return base::fail(Code::unimplemented,
                          "scenario '{}' needs a kind of key that this client "
                          "does not have",
                          scenario.name);
    }
    const json::object& given = scenario.context;
    OAuthOptions oauth_options;
    oauth_options.url = scenario.url;
    oauth_options.client_id = text_in(given, "client_id");
    oauth_options.client_secret = text_in(given, "client_secret");
    oauth_options.private_key_pem = text_in(given, "private_key_pem");
    oauth_options.key_algorithm = text_in(given, "signing_algorithm");
    oauth_options.own_behalf = scenario.name.starts_with("auth/client-credentials");
    oauth_options.client_document = "https://conformance-test.local/client-metadata.json";
    const CredentialFile nowhere("");
    AgreesAtOnce consent;
    OAuth oauth(std::move(oauth_options), nowhere, &consent, clock);

    FillsForms host;
    HttpTransportOptions http;
    http.url = scenario.url;
    ClientOptions options;
    options.revision = scenario.revision;
    const auto client = DG_TRY(Client::connect(
        std::make_unique<HttpTransport>(std::move(http), &oauth), host, options, clock));
    return run(scenario, *client, host);
}

}  // namespace agent::mcp
