#include "support/database_server.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

namespace test {
namespace {

using std::chrono::milliseconds;

constexpr int kTriesMax = 6'000;  // of 10 ms
constexpr milliseconds kPause{10};

/// Whom servers run as: they refuse to be root.
const passwd* server_user() {
    if (::geteuid() != 0) return nullptr;
    const passwd* user = ::getpwnam("postgres");
    return user != nullptr ? user : ::getpwnam("nobody");
}

void give(const std::string& path) {
    if (const passwd* user = server_user()) {
        EXPECT_EQ(::chown(path.c_str(), user->pw_uid, user->pw_gid), 0);
    }
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
    const passwd* user = server_user();
    const uid_t uid = user != nullptr ? user->pw_uid : 0;
    const gid_t gid = user != nullptr ? user->pw_gid : 0;
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    if (uid != 0 && (::setgid(gid) != 0 || ::setuid(uid) != 0)) ::_exit(126);
    // Ends with the test, however that ends. After setuid, which forgets it.
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (::chdir("/") != 0) ::_exit(126);
    ::execv(words[0], words.data());
    ::_exit(127);
}

std::string program(const std::string& name, std::vector<std::string> folders) {
    for (const char* folder : {"/usr/local/bin", "/usr/bin"}) folders.emplace_back(folder);
    for (const std::string& folder : folders) {
        if (std::filesystem::exists(folder + "/" + name)) return folder + "/" + name;
    }
    return "";
}

/// Debian keeps servers of several versions apart; the newest first.
std::vector<std::string> postgres_folders() {
    std::vector<std::string> folders;
    std::error_code error;
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
        folders.push_back(version.path().string() + "/bin");
    }
    std::ranges::sort(folders, std::greater());
    return folders;
}

/// Not while it still reads what it had written.
bool answers_ping(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    std::array<char, 16> answer{};
    const bool answers =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        ::send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && ::read(fd, answer.data(), 5) == 5;
    ::close(fd);
    return answers && std::string_view(answer.data(), 5) == "+PONG";
}

template <class Ready>
void wait_for(ServerProcess& process, const std::string& log, const Ready& ready) {
    for (int tries = 0; tries < kTriesMax; ++tries) {
        if (ready()) return;
        ASSERT_FALSE(process.ended()) << read_text(log);
        std::this_thread::sleep_for(kPause);
    }
    FAIL() << "the server does not come up: " << read_text(log);
}

}  // namespace

void ServerProcess::start(const std::vector<std::string>& command, const std::string& log) {
    pid_ = spawn(command, log);
}

bool ServerProcess::ended() {
    if (pid_ == 0) return true;
    if (::waitpid(pid_, nullptr, WNOHANG) == 0) return false;
    pid_ = 0;
    return true;
}

void ServerProcess::stop(int signal) {
    if (pid_ == 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

// --- PostgreSQL ----------------------------------------------------------------------------------

PostgresServer::PostgresServer() : process_(SIGQUIT) {
    const std::string found = program("postgres", postgres_folders());
    if (found.empty()) {
        absent_ = "no PostgreSQL server is installed (Debian package postgresql-15)";
        return;
    }
    bin_ = std::filesystem::path(found).parent_path().string();
    give(dir_.path());
    write_text(dir_.file("password"), "geheim\n");
    give(dir_.file("password"));
    const pid_t pid =
        spawn({bin_ + "/initdb", "--pgdata=" + dir_.file("data"), "--username=dougong",
               "--auth=scram-sha-256", "--pwfile=" + dir_.file("password"), "--encoding=UTF8",
               "--locale=C.UTF-8", "--no-sync"},
              dir_.file("log"));
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) {
        absent_ = "initdb failed: " + read_text(dir_.file("log"));
        return;
    }
    start();
}

PostgresServer& PostgresServer::instance() {
    static PostgresServer server;
    return server;
}

void PostgresServer::start() {
    process_.start({bin_ + "/postgres", "-D", dir_.file("data"), "-k", dir_.path(), "-c",
                    "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=200", "-c",
                    "shared_buffers=64MB"},
                   dir_.file("log"));
    wait_for(process_, dir_.file("log"), [&] {
        return read_text(dir_.file("data/postmaster.pid")).find("ready") != std::string::npos;
    });
}

void PostgresServer::kill() {
    process_.stop(SIGQUIT);
}

std::string PostgresServer::url(const std::string& schema, const std::string& password) const {
    std::string host;
    for (const char c : dir_.path()) host += c == '/' ? "%2F" : std::string(1, c);
    return "postgresql://dougong:" + password + "@" + host + "/postgres?schema=" + schema;
}

std::string PostgresServer::fresh_url() {
    return url("t" + std::to_string(++schemas_));
}

// --- Redis ---------------------------------------------------------------------------------------

RedisServer::RedisServer() : process_(SIGKILL) {
    program_ = program("redis-server", {});
    if (program_.empty()) {
        absent_ = "no Redis server is installed (Debian package redis-server)";
        return;
    }
    give(dir_.path());
    start();
}

RedisServer& RedisServer::instance() {
    static RedisServer server;
    return server;
}

void RedisServer::start() {
    process_.start({program_, "--port", "0", "--unixsocket", dir_.file("redis.sock"),
                    "--unixsocketperm", "777", "--dir", dir_.path(), "--appendonly", "yes",
                    "--appendfsync", "always", "--save", ""},
                   dir_.file("log"));
    wait_for(process_, dir_.file("log"), [&] { return answers_ping(dir_.file("redis.sock")); });
}

void RedisServer::kill() {
    process_.stop(SIGKILL);
}

std::string RedisServer::fresh_url() {
    return url() + "?prefix=t" + std::to_string(++prefixes_);
}

}  // namespace test
