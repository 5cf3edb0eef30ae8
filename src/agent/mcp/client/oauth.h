#pragma once
// OAuth 2.1 as MCP uses it: from a refusal to a key. The server's metadata names its authorization
// server, whose metadata says how: a person agrees in a browser (authorization code with PKCE), or
// the client asks on its own behalf (client credentials). Keys are bound to the server they were
// asked for and to the authorization server that gave them, and go nowhere else.

#include <chrono>
#include <mutex>
#include <string>

#include "agent/mcp/client/authorizer.h"
#include "agent/mcp/client/credential_file.h"
#include "agent/mcp/client/oauth_metadata.h"
#include "base/core/clock.h"
#include "base/http/client.h"

namespace agent::mcp {

/// Shows a person the page where they agree, or not.
class Consent {
public:
    virtual ~Consent() = default;
    /// Returns soon; the answer comes to our own address. Errors: nobody can be shown anything.
    virtual base::Result<void> show(const std::string& url) = 0;
};

struct OAuthOptions {
    std::string url;  ///< of the MCP server
    std::string client_name = "Dougong";
    std::string client_id;  ///< of a client that is registered already; empty: none
    std::string client_secret;
    std::string client_issuer;        ///< where it is; empty: wherever the server sends us first
    std::string client_document;      ///< https address of our metadata, as our id; empty: none
    std::string scope;                ///< asked for besides what the server names
    bool own_behalf = false;          ///< client credentials: no person agrees
    std::string private_key_pem;      ///< proves the client by signature; empty: by its secret
    std::string key_algorithm;        ///< empty: the one that fits the key
    std::uint16_t redirect_port = 0;  ///< 0: any
    std::chrono::milliseconds consent_timeout{300'000};
    base::HttpClient::Options http;
};

class OAuth final : public Authorizer {
public:
    /// All outlive it; `consent` may be null with own_behalf.
    OAuth(OAuthOptions options, const CredentialFile& file, Consent* consent,
          const base::Clock& clock);

    std::string authorization() override;
    base::Result<void> refused(int status, const std::vector<std::string>& challenges,
                               std::string_view used, const Stop& stop) override;
    /// Forgets the key of this server.
    base::Result<void> sign_out();

private:
    /// Who we are to one authorization server.
    struct Identity {
        std::string id, secret, method;
        std::uint16_t port = 0;  ///< of the address it knows; 0: any
    };
    struct Tokens {
        std::string resource;  ///< as its own metadata calls it
        std::string issuer, access, refresh, scope, token_endpoint;
        std::int64_t until_unix_s = 0;  ///< 0: it did not say
        Identity client;
    };
    using Fields = std::vector<std::pair<std::string, std::string>>;
    /// What is asked for, and of whom.
    struct Wanted {
        std::string resource, scope;
        AuthorizationServer server;
    };

    void load();                // under mutex_
    base::Result<void> keep();  // under mutex_
    base::Result<ResourceMetadata> find_resource(const Challenge& challenge);
    base::Result<AuthorizationServer> find_server(const ResourceMetadata& resource);
    base::Result<json::object> get_json(const std::string& url, bool& missing);
    base::Result<Identity> identity(const AuthorizationServer& server,
                                    const std::string& redirect_uri, std::uint16_t port, bool anew);
    base::Result<Identity> enroll(const AuthorizationServer& server,
                                  const std::string& redirect_uri, std::uint16_t port);
    base::Result<void> by_code(const Wanted& wanted, const Stop& stop);
    base::Result<void> by_credentials(const Wanted& wanted);
    base::Result<void> refresh();
    /// The token endpoint's answer becomes ours.
    base::Result<void> ask_token(const Wanted& wanted, const Identity& client, Fields fields);

    const OAuthOptions options_;
    const CredentialFile& file_;
    Consent* const consent_;
    const base::Clock& clock_;
    const base::HttpClient http_;
    const std::string name_;   ///< of the server, as keys are kept
    std::mutex asking_mutex_;  // one asks at a time; before mutex_
    std::mutex mutex_;         // guards the rest
    Tokens tokens_;
    std::string asked_scope_;  ///< of the last key, also when less was given
    bool loaded_ = false;
};

}  // namespace agent::mcp
