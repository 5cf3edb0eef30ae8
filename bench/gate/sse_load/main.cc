// Streams per second that a server can send: opens CONNECTIONS streams of TOKENS tokens each on a
// running server, one after another on each connection, and counts events, tokens and bytes. With
// the server's pid also the CPU time it took. The client reads all sockets from one thread and
// parses nothing but the end of streams, so that it takes little of the machine.
//
// Usage: bench_gate_sse PORT MODEL [connections] [tokens] [rounds] [server_pid] [chat|text]

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Plan {
    std::uint16_t port = 0;
    std::string model;
    int connections = 16, tokens = 1000, rounds = 4, server_pid = 0;
    bool chat = true;
};

std::string request_text(const Plan& plan) {
    const std::string prompt =
        plan.chat ? R"("messages":[{"role":"user","content":"forever"}])" : R"("prompt":"forever")";
    const std::string body = R"({"model":")" + plan.model + "\"," + prompt +
                             R"(,"stream":true,"ignore_eos":true,"temperature":0,"max_tokens":)" +
                             std::to_string(plan.tokens) + "}";
    return std::string("POST ") + (plan.chat ? "/v1/chat/completions" : "/v1/completions") +
           " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// User and system time of a process, all threads, in seconds.
double cpu_seconds(int pid) {
    if (pid == 0) return 0;
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return 0;
    const char* at = text.c_str() + name_end + 1;
    double ticks = 0;
    for (int field = 3; field <= 15; ++field) {
        while (*at == ' ') ++at;
        if (field >= 14) ticks += std::atof(at);
        while (*at != ' ' && *at != '\0') ++at;
    }
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

struct Stream {
    int fd = -1;
    int rounds_left = 0;
    std::string tail;  ///< the last bytes, for an end that comes in two reads
    std::uint64_t bytes = 0, events = 0, reads = 0;
};

bool open_stream(Stream& stream, const Plan& plan) {
    stream.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(plan.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    stream.rounds_left = plan.rounds;
    return ::connect(stream.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

bool send_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

/// False when the stream failed.
bool read_some(Stream& stream, const std::string& request) {
    static char buffer[256 * 1024];
    const ssize_t got = ::recv(stream.fd, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    ++stream.reads;
    stream.bytes += static_cast<std::uint64_t>(got);
    stream.tail.append(buffer, static_cast<std::size_t>(got));
    constexpr std::string_view kEvent = "data: ", kEnd = "\r\n0\r\n\r\n";
    for (auto at = stream.tail.find(kEvent); at != std::string::npos;
         at = stream.tail.find(kEvent, at + 1)) {
        ++stream.events;
    }
    const bool over = stream.tail.ends_with(kEnd);
    stream.tail.erase(0, stream.tail.size() - std::min(stream.tail.size(), kEnd.size()));
    // A start of an event that is not whole yet is counted when the rest comes.
    if (!over) return true;
    stream.tail.clear();
    if (--stream.rounds_left > 0) return send_all(stream.fd, request);
    ::close(stream.fd);
    stream.fd = -1;
    return true;
}

int run(const Plan& plan) {
    const std::string request = request_text(plan);
    std::vector<Stream> streams(static_cast<std::size_t>(plan.connections));
    for (Stream& stream : streams) {
        if (open_stream(stream, plan)) continue;
        std::fprintf(stderr, "bench_gate_sse: nothing listens on port %u\n", plan.port);
        return 1;
    }
    const double cpu_before = cpu_seconds(plan.server_pid);
    const auto start = std::chrono::steady_clock::now();
    for (Stream& stream : streams) send_all(stream.fd, request);
    for (;;) {
        std::vector<pollfd> waiting;
        std::vector<Stream*> owners;
        for (Stream& stream : streams) {
            if (stream.fd < 0) continue;
            waiting.push_back({stream.fd, POLLIN, 0});
            owners.push_back(&stream);
        }
        if (waiting.empty()) break;
        ::poll(waiting.data(), waiting.size(), 10'000);
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            if (waiting[i].revents == 0 || read_some(*owners[i], request)) continue;
            std::fprintf(stderr, "bench_gate_sse: the server ended a stream early\n");
            return 1;
        }
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double cpu = cpu_seconds(plan.server_pid) - cpu_before;
    Stream sum;
    for (const Stream& stream : streams) {
        sum.bytes += stream.bytes;
        sum.events += stream.events;
        sum.reads += stream.reads;
    }
    const double tokens = 1.0 * plan.connections * plan.tokens * plan.rounds;
    std::printf("tokens %.0f\nseconds %.3f\ntokens_per_second %.0f\n", tokens, seconds,
                tokens / seconds);
    std::printf("events %llu\nreads %llu\nbytes_per_token %.1f\n",
                static_cast<unsigned long long>(sum.events),
                static_cast<unsigned long long>(sum.reads),
                static_cast<double>(sum.bytes) / tokens);
    if (plan.server_pid != 0) std::printf("server_cpu_us_per_token %.2f\n", 1e6 * cpu / tokens);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr,
                     "usage: bench_gate_sse PORT MODEL [connections] [tokens] [rounds] "
                     "[server_pid] [chat|text]\n");
        return 64;
    }
    Plan plan;
    plan.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    plan.model = argv[2];
    if (argc > 3) plan.connections = std::max(1, std::atoi(argv[3]));
    if (argc > 4) plan.tokens = std::max(1, std::atoi(argv[4]));
    if (argc > 5) plan.rounds = std::max(1, std::atoi(argv[5]));
    if (argc > 6) plan.server_pid = std::atoi(argv[6]);
    if (argc > 7) plan.chat = std::string_view(argv[7]) != "text";
    return run(plan);
}
