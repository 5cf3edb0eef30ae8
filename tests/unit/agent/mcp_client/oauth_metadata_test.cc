#include "agent/mcp/client/oauth_metadata.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

namespace mcp = agent::mcp;
namespace json = base::json;

json::object parsed(std::string_view text) {
    return base::parse_json(text)->as_object();
}

constexpr std::string_view kServer = R"({"issuer": "https://as.example/t",
    "authorization_endpoint": "https://as.example/a", "token_endpoint": "https://as.example/k",
    "code_challenge_methods_supported": ["S256"], "scopes_supported": ["a", "offline_access"]})";

TEST(OAuthMetadata, ReadsTheBearerChallengeAmongOthers) {
    const auto challenge = mcp::read_challenge(
        {R"(Basic realm="Bearer scope=x")",
         R"(Digest a="1", bearer error="insufficient_scope", scope="a \"b\"" , )"
         R"(resource_metadata=https://x/y, error_description="no, really")"});
    EXPECT_EQ(challenge.error, "insufficient_scope");
    EXPECT_EQ(challenge.scope, "a \"b\"");
    EXPECT_EQ(challenge.resource_metadata, "https://x/y");
    EXPECT_EQ(challenge.description, "no, really");
    EXPECT_EQ(mcp::read_challenge({"Bearer"}).scope, "");
}

TEST(OAuthMetadata, AnyChallengeIsRead) {
    test::for_each_seed(500, [](base::Rng& rng) {
        constexpr std::string_view kParts[] = {"Bearer", " ",     "=", "\"", "\\", ",",
                                               "scope",  "error", "a", "\t", ""};
        std::string text;
        for (int i = 0; i < 30; ++i) text += kParts[rng.below(std::size(kParts))];
        EXPECT_LE(mcp::read_challenge({text}).scope.size(), text.size());
    });
}

TEST(OAuthMetadata, IsLookedForWhereTheStandardsPutIt) {
    using Urls = std::vector<std::string>;
    EXPECT_EQ(mcp::resource_metadata_urls("https://X.example:8443/a/mcp?q=1"),
              (Urls{"https://x.example:8443/.well-known/oauth-protected-resource/a/mcp",
                    "https://x.example:8443/.well-known/oauth-protected-resource"}));
    EXPECT_EQ(mcp::server_metadata_urls("https://as.example"),
              (Urls{"https://as.example/.well-known/oauth-authorization-server",
                    "https://as.example/.well-known/openid-configuration"}));
    EXPECT_EQ(mcp::server_metadata_urls("https://as.example/t"),
              (Urls{"https://as.example/.well-known/oauth-authorization-server/t",
                    "https://as.example/.well-known/openid-configuration/t",
                    "https://as.example/t/.well-known/openid-configuration"}));
    EXPECT_EQ(mcp::server_metadata_urls("file:///etc"), Urls());
}

TEST(OAuthMetadata, OfAnotherResourceIsRefused) {
    const auto read = [](std::string_view resource) {
        return mcp::read_resource_metadata(
            {{"resource", resource}, {"authorization_servers", {"https://as.example"}}},
            "https://x.example/a/mcp");
    };
    EXPECT_TRUE(read("https://x.example/a/mcp"));
    EXPECT_TRUE(read("https://x.example/a/mcp/"));
    EXPECT_TRUE(read("https://x.example"));
    for (const char* other :
         {"https://evil.example/a/mcp", "http://x.example/a/mcp", "https://x.example/a/mc",
          "https://x.example/a/mcp/more", "", "https://x.example@evil.example/a/mcp"}) {
        const auto refused = read(other);
        ASSERT_FALSE(refused) << other;
        EXPECT_EQ(refused.error().code, base::Code::failed_precondition);
    }
}

TEST(OAuthMetadata, AnAuthorizationServerIsWhoItSaysToTheLetter) {
    EXPECT_TRUE(mcp::read_authorization_server(parsed(kServer), "https://as.example/t", true));
    for (const char* other : {"https://as.example/t/", "https://AS.example/t", ""}) {
        EXPECT_FALSE(mcp::read_authorization_server(parsed(kServer), other, true)) << other;
    }
    json::object no_pkce = parsed(kServer);
    no_pkce.erase("code_challenge_methods_supported");
    EXPECT_FALSE(mcp::read_authorization_server(no_pkce, "https://as.example/t", true));
    EXPECT_TRUE(mcp::read_authorization_server(no_pkce, "https://as.example/t", false));
    json::object in_the_open = parsed(kServer);
    in_the_open["token_endpoint"] = "http://as.example/k";
    EXPECT_FALSE(mcp::read_authorization_server(in_the_open, "https://as.example/t", true));
}

TEST(OAuthMetadata, OnlyThisMachineNeedsNoHttps) {
    for (const char* safe :
         {"https://x.example", "http://localhost:1/a", "http://127.0.0.1", "http://[::1]:80/"}) {
        EXPECT_TRUE(mcp::is_safe_url(safe)) << safe;
    }
    for (const char* other :
         {"http://x.example", "http://localhost.evil.example", "ftp://localhost",
          "http://127.evil.example", "http://localhost@evil.example/", "x"}) {
        EXPECT_FALSE(mcp::is_safe_url(other)) << other;
    }
}

TEST(OAuthMetadata, ChoosesWhatTheChallengeSaysFirst) {
    mcp::ResourceMetadata resource;
    mcp::AuthorizationServer server;
    EXPECT_EQ(mcp::choose_scope({}, resource, server), "");
    resource.scopes = std::vector<std::string>{"a", "b"};
    EXPECT_EQ(mcp::choose_scope({}, resource, server), "a b");
    server.scopes = {"offline_access"};
    mcp::Challenge challenge;
    challenge.scope = "c";
    EXPECT_EQ(mcp::choose_scope(challenge, resource, server), "c offline_access");
    EXPECT_EQ(mcp::scope_union("a b", "b  c"), "a b c");
    EXPECT_TRUE(mcp::scope_within("b a", "a b c"));
    EXPECT_FALSE(mcp::scope_within("d", "a b c"));
    EXPECT_EQ(mcp::form_text({{"a b", "c&=+"}, {"d", ""}}), "a%20b=c%26%3D%2B&d=");
}

}  // namespace
