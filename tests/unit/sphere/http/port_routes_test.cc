// Programs in boxes over HTTP: bodies as they come, answers before their end, WebSockets.
#include "sphere/http/port_routes.h"

#include <condition_variable>
#include <mutex>

#include "base/files/sha256.h"
#include "base/http/web_socket_client.h"
#include "unit/sphere/http/api_fixture.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::http::MessageKind;
using base::http::WebSocketClient;
using test::RawClient;

/// Waits for what a program says.
class Ear final : public ExecSink {
public:
    void on_output(Stream, std::string_view bytes) override {
        const std::lock_guard lock(mutex_);
        heard_ += bytes;
        changed_.notify_all();
    }
    void on_end(const ExecResult&) override {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    }
    bool hears(std::string_view text) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(60),
                          [&] { return ended_ || heard_.find(text) != std::string::npos; });
        return heard_.find(text) != std::string::npos;
    }
    void wait_end() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ended_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string heard_;
    bool ended_ = false;
};

/// One connection at a time: HTTP with bodies of both framings, and WebSockets that say back what
/// they hear.
constexpr const char* kProgram = R"(
import base64, hashlib, socket, struct
def line(f): return f.readline().strip()
def web_socket(c, f, headers):
    key = headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    answer = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    answer += 'Sec-WebSocket-Accept: ' + accept + '\r\n'
    if 'sec-websocket-protocol' in headers:
        answer += 'Sec-WebSocket-Protocol: ' + headers['sec-websocket-protocol'].split(',')[0] + '\r\n'
    c.sendall((answer + '\r\n').encode())
    c.sendall(b'\x81\x05hello')
    while True:
        head = f.read(2)
        if len(head) < 2: return
        kind, size = head[0] & 15, head[1] & 127
        if size == 126: size, = struct.unpack('>H', f.read(2))
        if size == 127: size, = struct.unpack('>Q', f.read(8))
        mask = f.read(4)
        data = f.read(size)
        data = bytes(a ^ mask[i % 4] for i, a in enumerate(data)) if size < 4096 else \
            (int.from_bytes(data, 'big') ^ int.from_bytes((mask * (size // 4 + 1))[:size], 'big')).to_bytes(size, 'big')
        if kind == 1 and data == b'bye':
            kind, data = 8, struct.pack('>H', 4321) + b'enough'
        out = bytes([0x80 | kind])
        out += bytes([len(data)]) if len(data) < 126 else \
            b'\x7e' + struct.pack('>H', len(data)) if len(data) < 65536 else b'\x7f' + struct.pack('>Q', len(data))
        c.sendall(out + data)
        if kind == 8: return
def serve(c):
    f = c.makefile('rb')
    method, target, _ = line(f).decode().split()
    headers = {}
    while (l := line(f)):
        name, value = l.decode().split(':', 1)
        headers[name.lower()] = value.strip()
    if headers.get('upgrade', '').lower() == 'websocket' and target.startswith('/ws'):
        return web_socket(c, f, headers)
    digest, size, framing = hashlib.sha256(), 0, 'none'
    if headers.get('transfer-encoding') == 'chunked':
        framing = 'chunked'
        while (n := int(line(f), 16)):
            data = f.read(n); f.read(2)
            digest.update(data); size += n
        line(f)
    elif 'content-length' in headers:
        framing, left = 'length', int(headers['content-length'])
        while left:
            data = f.read(min(left, 1 << 16))
            digest.update(data); size += len(data); left -= len(data)
    body = f'{method} {target} {framing} {size} {digest.hexdigest()}'.encode()
    c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
s = socket.socket()
s.bind(('127.0.0.1', 8000))
s.listen()
print('listening', flush=True)
while True:
    c, _ = s.accept()
    try: serve(c)
    except Exception as e: print('fault', repr(e), flush=True)
    c.close()
)";

class PortRoutes : public ApiTest {
protected:
    void SetUp() override {
        ApiTest::SetUp();
        if (IsSkipped()) return;
        ports_ = std::make_unique<PortApi>(*sphere_, clock_, port_options_);
        base::http::ServerOptions small;
        small.limits.body_bytes_max = 100'000;
        auto listening = base::http::Server::listen(small, clock_);
        ASSERT_TRUE(listening);
        own_ = std::move(*listening);
        api_->register_routes(own_->router());
        ports_->register_routes(own_->router());
        own_->start();
        server_.swap(own_);
        box_ = create(R"({"network":{"mode":"loopback"}})");
        ASSERT_TRUE(sphere_->start(
            box_, {.argv = {"python3", "-c", kProgram}, .wall_timeout = std::chrono::minutes(5)},
            ear_));
        ASSERT_TRUE(ear_.hears("listening"));
        const auto made =
            object(call("POST", "/v1/sandboxes/" + box_ + "/ports", R"({"port":8000})"));
        token_ = std::string(made.at("token").as_string());
    }
    void TearDown() override {
        if (own_) own_->stop(std::chrono::milliseconds(0));
        if (server_) server_->stop(std::chrono::milliseconds(0));
        if (ports_) ports_->stop();
        if (!box_.empty()) static_cast<void>(sphere_->destroy(box_));
        ear_.wait_end();
        ApiTest::TearDown();
    }
    std::string head(std::string_view method, std::string_view path, std::string_view rest) const {
        return fmt::format(
            "{} /v1/sandboxes/{}/ports/8000/{} HTTP/1.1\r\nHost: localhost\r\n"
            "X-Dougong-Port-Token: {}\r\n{}\r\n",
            method, box_, path, token_, rest);
    }

    PortApiOptions port_options_;
    std::unique_ptr<PortApi> ports_;
    std::unique_ptr<base::http::Server> own_;
    Ear ear_;
    std::string box_, token_;
};

TEST_F(PortRoutes, BodiesArriveAsTheyWereSentWhateverTheirSize) {
    const std::string body(3'000'000, 'b');  // over what the server takes in memory
    const std::string digest = base::sha256_hex(body);
    for (const bool chunked : {false, true}) {
        RawClient client(server_->port());
        client.send(head("PUT", "up?a=1",
                         chunked ? "Transfer-Encoding: chunked\r\n"
                                 : fmt::format("Content-Length: {}\r\n", body.size())));
        for (std::size_t at = 0; at < body.size(); at += 250'000) {
            const std::string piece = body.substr(at, 250'000);
            client.send(chunked ? fmt::format("{:x}\r\n{}\r\n", piece.size(), piece) : piece);
        }
        if (chunked) client.send("0\r\n\r\n");
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status, 200) << answer.body;
        EXPECT_EQ(answer.body,
                  fmt::format("PUT /up?a=1 {} 3000000 {}", chunked ? "chunked" : "length", digest));
    }
    RawClient client(server_->port());
    client.send(head("POST", "none", ""));
    EXPECT_TRUE(client.read_response().body.starts_with("POST /none length 0 "));
    RawClient reader(server_->port());
    reader.send(head("GET", "some", ""));
    EXPECT_TRUE(reader.read_response().body.starts_with("GET /some none 0 "));
}

/// What a WebSocket said.
class Screen : public base::http::WebSocketEvents {
public:
    void on_open(const base::http::WebSocketPtr& socket) override {
        const std::lock_guard lock(mutex_);
        socket_ = socket;
        changed_.notify_all();
    }
    void on_message(MessageKind, std::string_view message) override {
        const std::lock_guard lock(mutex_);
        ++messages_;
        last_ = message;
        changed_.notify_all();
    }
    void on_close(std::uint16_t code, std::string_view reason) override {
        const std::lock_guard lock(mutex_);
        socket_.reset();
        closed_ = code;
        reason_ = reason;
        changed_.notify_all();
    }
    bool send(MessageKind kind, std::string_view message) {
        base::http::WebSocketPtr socket;
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, kPatience, [this] { return socket_ || closed_ != 0; });
            socket = socket_;
        }
        return socket && socket->send(kind, message);
    }
    std::string message(int number) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kPatience, [&] { return messages_ >= number || closed_ != 0; });
        return messages_ == number ? last_ : "messages: " + std::to_string(messages_);
    }
    std::pair<std::uint16_t, std::string> closed() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kPatience, [this] { return closed_ != 0; });
        return {closed_, reason_};
    }

private:
    static constexpr std::chrono::seconds kPatience{60};
    std::mutex mutex_;
    std::condition_variable changed_;
    base::http::WebSocketPtr socket_;
    int messages_ = 0;
    std::string last_, reason_;
    std::uint16_t closed_ = 0;
};

TEST_F(PortRoutes, AWebSocketGoesThroughBothWays) {
    const auto screen = std::make_shared<Screen>();
    WebSocketClient::Options options;
    options.url =
        fmt::format("{}/v1/sandboxes/{}/ports/8000/ws?port_token={}", server_->url(), box_, token_);
    options.headers = {{"Sec-WebSocket-Protocol", "chat, other"}};
    options.socket.message_bytes_max = options.socket.buffer_bytes_max = 4 << 20;
    const auto client = WebSocketClient::connect(options, screen);
    ASSERT_TRUE(client) << client.error().message;
    EXPECT_EQ((*client)->protocol(), "chat");
    EXPECT_EQ(screen->message(1), "hello");  // the program speaks first
    int count = 1;
    for (const std::size_t size : {1u, 125u, 126u, 70'000u, 2'000'000u}) {
        const std::string message(size, 'm');
        ASSERT_TRUE(screen->send(size % 2 == 0 ? MessageKind::binary : MessageKind::text, message));
        EXPECT_EQ(screen->message(++count), message) << size;
    }
    ASSERT_TRUE(screen->send(MessageKind::text, "bye"));
    EXPECT_EQ(screen->closed(), std::pair(std::uint16_t{4321}, std::string("enough")));
}

TEST_F(PortRoutes, AProgramThatSpeaksNoWebSocketIsTold) {
    const auto screen = std::make_shared<Screen>();
    const auto refused = WebSocketClient::connect(
        {.url = fmt::format("{}/v1/sandboxes/{}/ports/8000/plain?port_token={}", server_->url(),
                            box_, token_)},
        screen);
    EXPECT_FALSE(refused);
    const auto strange = WebSocketClient::connect(
        {.url =
             fmt::format("{}/v1/sandboxes/{}/ports/8000/ws?port_token=no", server_->url(), box_)},
        std::make_shared<Screen>());
    ASSERT_FALSE(strange);
    EXPECT_EQ(strange.error().code, base::Code::permission_denied);
}

class FewWebSockets : public PortRoutes {
protected:
    FewWebSockets() { port_options_.web_sockets_max = 1; }
};

TEST_F(FewWebSockets, TheLimitIsTold) {
    const auto url =
        fmt::format("{}/v1/sandboxes/{}/ports/8000/ws?port_token={}", server_->url(), box_, token_);
    const auto first = std::make_shared<Screen>();
    auto client = WebSocketClient::connect({.url = url}, first);
    ASSERT_TRUE(client) << client.error().message;
    EXPECT_EQ(first->message(1), "hello");
    const auto second = WebSocketClient::connect({.url = url}, std::make_shared<Screen>());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, base::Code::resource_exhausted);
}

}  // namespace
}  // namespace sphere
