// From a refusal to a key, beside a scripted server and its authorization server.
#include "agent/mcp/client/oauth.h"

#include <gtest/gtest.h>

#include <atomic>

#include "agent/mcp/client/http_transport.h"
#include "base/http/message.h"
#include "support/http_stub.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace {

namespace mcp = agent::mcp;
namespace json = base::json;
using base::Code;

test::StubResponse answer(const json::value& body, int status = 200) {
    return {.status = status,
            .headers = {{"Content-Type", "application/json"}},
            .body = json::serialize(body),
            .cut_after = {}};
}

/// A resource at /mcp, and an authorization server of the same address.
class Provider {
public:
    std::string iss;              ///< in the answer to the person's browser; empty: the right one
    std::string scope = "a";      ///< that the resource wants
    std::string needs = "key-1";  ///< the key it takes
    bool refreshes = true;
    std::atomic<int> consents = 0, registrations = 0, refreshed = 0, keys = 0;

    std::string url() const { return stub_.url() + "/mcp"; }
    std::string issuer() const { return stub_.url(); }
    std::vector<test::StubRequest> requests() const { return stub_.requests(); }

private:
    test::StubResponse take(const test::StubRequest& request) {
        const std::string path = request.target.substr(0, request.target.find('?'));
        if (path == "/.well-known/oauth-protected-resource/mcp") {
            return answer({{"resource", url()}, {"authorization_servers", {issuer()}}});
        }
        if (path == "/.well-known/oauth-authorization-server") {
            return answer({{"issuer", issuer()},
                           {"authorization_endpoint", issuer() + "/authorize"},
                           {"token_endpoint", issuer() + "/token"},
                           {"registration_endpoint", issuer() + "/register"},
                           {"code_challenge_methods_supported", {"S256"}},
                           {"authorization_response_iss_parameter_supported", true},
                           {"token_endpoint_auth_methods_supported", {"none"}}});
        }
        if (path == "/register") {
            ++registrations;
            return answer({{"client_id", "registered"}}, 201);
        }
        if (path == "/authorize") return authorize(request);
        if (path == "/token") return token(request);
        if (path != "/mcp") return {.status = 404, .headers = {}, .body = "", .cut_after = {}};
        const auto said = request.headers.find("authorization");
        if (said != request.headers.end() && said->second == "Bearer " + needs) {
            return answer({{"jsonrpc", "2.0"}, {"id", 1}, {"result", json::object()}});
        }
        return {.status = said == request.headers.end() || needs != "never" ? 401 : 403,
                .headers = {{"WWW-Authenticate",
                             "Bearer error=\"insufficient_scope\", scope=\"" + scope + "\""}},
                .body = "",
                .cut_after = {}};
    }
    test::StubResponse authorize(const test::StubRequest& request) {
        ++consents;
        base::http::Request query;
        query.query = request.target.substr(request.target.find('?') + 1);
        const std::string back = *query.query_param("redirect_uri") +
                                 "?code=c&state=" + *query.query_param("state") +
                                 "&iss=" + mcp::form_escape(iss.empty() ? issuer() : iss);
        return {.status = 302, .headers = {{"Location", back}}, .body = "", .cut_after = {}};
    }
    test::StubResponse token(const test::StubRequest& request) {
        if (request.body.find("grant_type=refresh_token") != std::string::npos) {
            ++refreshed;
            if (!refreshes) return answer({{"error", "invalid_grant"}}, 400);
        }
        json::object out{{"access_token", "key-" + std::to_string(++keys)},
                         {"token_type", "Bearer"},
                         {"expires_in", 3'600}};
        if (refreshed == 0) out["refresh_token"] = "again";
        return answer(out);
    }

    test::HttpStub stub_{[this](const test::StubRequest& request) { return take(request); }};
};

class Browser final : public mcp::Consent {
public:
    base::Result<void> show(const std::string& url) override {
        base::HttpClient::Request request;
        request.url = url;
        DG_TRY(base::HttpClient().send(request));
        return {};
    }
};

class OAuthTest : public testing::Test {
protected:
    base::Result<mcp::Answer> ask(mcp::OAuthOptions options = {}) {
        options.url = provider_.url();
        mcp::OAuth oauth(std::move(options), file_, &browser_, clock_);
        mcp::HttpTransportOptions http;
        http.url = provider_.url();
        mcp::HttpTransport transport(std::move(http), &oauth);
        return transport.ask({.message = mcp::request_of(1, "x", {})}, [] { return std::nullopt; });
    }

    test::TempDir dir_;
    test::ManualClock clock_;
    Provider provider_;
    Browser browser_;
    mcp::CredentialFile file_{dir_.file("keys.json")};
};

TEST_F(OAuthTest, APersonAgreesOnceAndIsNotAskedAgain) {
    const auto first = ask();
    ASSERT_TRUE(first) << first.error().message;
    ASSERT_TRUE(ask());
    EXPECT_EQ(provider_.consents, 1);
    EXPECT_EQ(provider_.registrations, 1);
    for (const auto& request : provider_.requests()) {
        if (request.target == "/token") {
            EXPECT_NE(request.body.find("resource=" + mcp::form_escape(provider_.url())),
                      std::string::npos);
            EXPECT_NE(request.body.find("code_verifier="), std::string::npos);
        }
    }
}

TEST_F(OAuthTest, AnOldKeyIsRefreshed) {
    ASSERT_TRUE(ask());
    clock_.advance(std::chrono::hours(2));
    provider_.needs = "key-2";
    ASSERT_TRUE(ask());
    EXPECT_EQ(provider_.consents, 1);
    EXPECT_EQ(provider_.refreshed, 1);
    // Without a new one the old one stays good.
    clock_.advance(std::chrono::hours(2));
    provider_.needs = "key-3";
    ASSERT_TRUE(ask());
    EXPECT_EQ(provider_.refreshed, 2);
}

TEST_F(OAuthTest, AKeyThatCannotBeRefreshedIsAskedForAgain) {
    ASSERT_TRUE(ask());
    provider_.refreshes = false;
    provider_.needs = "key-2";
    const auto again = ask();
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(provider_.consents, 2);
}

TEST_F(OAuthTest, AnAnswerOfSomebodyElseGetsNoCode) {
    provider_.iss = "https://evil.example";
    const auto refused = ask();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::permission_denied);
    EXPECT_EQ(provider_.keys, 0);
}

TEST_F(OAuthTest, RightsThatAreNotGivenAreNotAskedForForever) {
    provider_.needs = "never";
    const auto refused = ask();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::permission_denied);
    EXPECT_EQ(provider_.consents, 1);
}

TEST_F(OAuthTest, ASecretIsNotShownToAnotherAuthorizationServer) {
    mcp::OAuthOptions options;
    options.client_id = "mine";
    options.client_secret = "s3cret";
    options.client_issuer = "https://as.example";
    const auto refused = ask(options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::failed_precondition);
    for (const auto& request : provider_.requests()) {
        EXPECT_EQ(request.body.find("s3cret"), std::string::npos);
        EXPECT_NE(request.target, "/token");
    }
}

TEST_F(OAuthTest, OnItsOwnBehalfNobodyIsAsked) {
    mcp::OAuthOptions options;
    options.client_id = "mine";
    options.client_secret = "s3cret";
    options.own_behalf = true;
    const auto answered = ask(options);
    ASSERT_TRUE(answered) << answered.error().message;
    EXPECT_EQ(provider_.consents, 0);
    EXPECT_EQ(provider_.registrations, 0);
}

TEST_F(OAuthTest, WithoutAPersonItSaysThatOneIsNeeded) {
    mcp::OAuthOptions options;
    options.url = provider_.url();
    mcp::OAuth oauth(std::move(options), file_, nullptr, clock_);
    mcp::HttpTransportOptions http;
    http.url = provider_.url();
    mcp::HttpTransport transport(std::move(http), &oauth);
    const auto refused =
        transport.ask({.message = mcp::request_of(1, "x", {})}, [] { return std::nullopt; });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::unauthenticated);
}

}  // namespace
