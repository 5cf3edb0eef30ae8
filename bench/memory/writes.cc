// How fast memories become durable, beside a bare synchronous write, plain SQLite with a
// transaction for each row, and Redis that syncs always; in turn, several rounds of each.
//
//   bench_memory_writes FOLDER [ROUNDS [NAMES]] > result.json      a table goes to stderr
//   ... --location postgresql://...                        the same over that database, too
//
// NAMES: only what has this in its name.
// A row is 500 bytes of text and an embedding of 384 numbers, about 2 KB as it is given.
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "base/json/json.h"
#include "base/store/store.h"
#include "memory/truth/truth.h"

namespace {

namespace json = base::json;
const base::SystemClock machine_clock;
constexpr int kWriters = 64;
constexpr std::uint32_t kDims = 384;

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "bench_memory_writes: {}\n", what);
    std::exit(1);
}
void need(bool good, const std::string& what) {
    if (!good) give_up(what);
}

/// Texts of everyday words with a number, none like another; vectors of length 1.
memory::NewEntry make_entry(base::Rng& rng, const std::string& tenant) {
    static constexpr const char* kSyllables[] = {"ba",  "ri",  "ton", "el",  "mo",  "sta",
                                                 "ver", "kin", "lo",  "pre", "dan", "su",
                                                 "mir", "tal", "qu",  "en"};
    memory::NewEntry entry;
    entry.scope = {.tenant = tenant, .user = "user", .session = "session"};
    entry.content = fmt::format("note {}:", rng.next());
    while (entry.content.size() < 500) {
        entry.content += ' ';
        for (std::uint64_t n = 1 + rng.below(4); n > 0; --n)
            entry.content += kSyllables[rng.below(16)];
    }
    entry.embedding.resize(kDims);
    float squares = 0;
    for (float& x : entry.embedding) {
        x = static_cast<float>(rng.uniform() - .5);
        squares += x * x;
    }
    for (float& x : entry.embedding) x /= std::sqrt(squares);
    return entry;
}

struct Measured {
    double rows_per_s = 0;
    std::vector<double> ms;  // of each write
    double at(double share) const {
        return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1))];
    }
};

/// `write(thread, i)` from `threads` threads, `each` times; rows a second by the wall clock.
Measured load(int threads, int each, const std::function<void(int, int)>& write) {
    std::vector<std::vector<double>> ms(static_cast<std::size_t>(threads));
    const base::Instant begin = machine_clock.now();
    {
        std::vector<std::jthread> running;
        for (int t = 0; t < threads; ++t) {
            running.emplace_back([&, t] {
                for (int i = 0; i < each; ++i) {
                    const base::Instant start = machine_clock.now();
                    write(t, i);
                    ms[static_cast<std::size_t>(t)].push_back(
                        base::to_millis(machine_clock.now() - start));
                }
            });
        }
    }
    Measured measured;
    measured.rows_per_s = threads * each / base::to_seconds(machine_clock.now() - begin);
    for (const auto& one : ms) measured.ms.insert(measured.ms.end(), one.begin(), one.end());
    std::sort(measured.ms.begin(), measured.ms.end());
    return measured;
}

// --- who is measured -----------------------------------------------------------------------------

Measured bare_writes(const std::string& folder, int count) {
    const std::string path = folder + "/bare";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    need(fd >= 0, "cannot open " + path);
    const std::string page(4'096, 'p');
    // Written once before: a file that grows costs the file system more.
    for (int i = 0; i < count; ++i)
        need(::pwrite(fd, page.data(), 4'096, i * 4'096) == 4'096, path);
    ::fsync(fd);
    const Measured measured = load(1, count, [&](int, int i) {
        need(::pwrite(fd, page.data(), 4'096, i * 4'096) == 4'096 && ::fdatasync(fd) == 0, path);
    });
    ::close(fd);
    std::filesystem::remove(path);
    return measured;
}

Measured over(const std::string& location, int threads, int each, int tenants,
              const std::vector<std::vector<memory::NewEntry>>& rows) {
    auto truth = memory::truth::Truth::open({.location = location}, machine_clock);
    need(truth.has_value(), truth ? "" : truth.error().message);
    const Measured measured = load(threads, each, [&](int t, int i) {
        memory::NewEntry entry = rows[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
        entry.scope.tenant = fmt::format("tenant {}", t % tenants);
        const auto wrote = (*truth)->add({&entry, 1}, "bench", "model");
        need(wrote.has_value(), wrote ? "" : wrote.error().message);
    });
    return measured;
}

Measured ours(const std::string& folder, int threads, int each, int tenants,
              const std::vector<std::vector<memory::NewEntry>>& rows) {
    std::filesystem::remove_all(folder + "/ours");
    Measured measured = over(folder + "/ours", threads, each, tenants, rows);
    std::filesystem::remove_all(folder + "/ours");
    return measured;
}

/// In a schema of its own, which goes afterwards; nothing without a database.
Measured in_database(const std::string& location, int threads, int each, int tenants,
                     const std::vector<std::vector<memory::NewEntry>>& rows) {
    if (location.empty()) return {};
    const std::string url =
        location + (location.find('?') == std::string::npos ? "?" : "&") + "schema=dougong_bench";
    const auto drop = [&] {
        auto store = base::store::Store::open(url, {});
        need(store.has_value(), store ? "" : store.error().message);
        const auto dropped =
            (*store)->write([](base::store::Transaction& tx) -> base::Result<void> {
                DG_TRY(tx.run("DROP SCHEMA dougong_bench CASCADE"));
                return {};
            });
        need(dropped.has_value(), dropped ? "" : dropped.error().message);
    };
    drop();
    Measured measured = over(url, threads, each, tenants, rows);
    drop();
    return measured;
}

/// One table with the same bytes, one connection and statement a thread, one transaction a row.
Measured plain_sqlite(const std::string& folder, int threads, int each,
                      const std::vector<std::vector<memory::NewEntry>>& rows) {
    std::filesystem::remove_all(folder + "/plain");
    std::filesystem::create_directory(folder + "/plain");
    std::vector<sqlite3*> databases;
    std::vector<sqlite3_stmt*> statements;
    for (int t = 0; t < threads; ++t) {
        sqlite3* database = nullptr;
        need(sqlite3_open((folder + "/plain/a.db").c_str(), &database) == SQLITE_OK,
             "sqlite3_open");
        sqlite3_busy_timeout(database, 60'000);
        sqlite3_exec(
            database,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS m "
            "(id INTEGER PRIMARY KEY, content TEXT, vector BLOB)",
            nullptr, nullptr, nullptr);
        sqlite3_stmt* statement = nullptr;
        need(sqlite3_prepare_v2(database, "INSERT INTO m(content, vector) VALUES (?, ?)", -1,
                                &statement, nullptr) == SQLITE_OK,
             "prepare");
        databases.push_back(database);
        statements.push_back(statement);
    }
    const Measured measured = load(threads, each, [&](int t, int i) {
        const auto& entry = rows[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
        sqlite3_stmt* statement = statements[static_cast<std::size_t>(t)];
        sqlite3_bind_text(statement, 1, entry.content.data(),
                          static_cast<int>(entry.content.size()), SQLITE_STATIC);
        sqlite3_bind_blob(statement, 2, entry.embedding.data(), kDims * sizeof(float),
                          SQLITE_STATIC);
        need(sqlite3_step(statement) == SQLITE_DONE, "insert");
        sqlite3_reset(statement);
    });
    for (sqlite3_stmt* statement : statements) sqlite3_finalize(statement);
    for (sqlite3* database : databases) sqlite3_close(database);
    std::filesystem::remove_all(folder + "/plain");
    return measured;
}

/// A server of our own on a socket in the folder; nothing where none is installed.
Measured redis_always(const std::string& folder, int threads, int each,
                      const std::vector<std::vector<memory::NewEntry>>& rows) {
    const std::string home = folder + "/redis", socket_path = home + "/s";
    std::filesystem::remove_all(home);
    std::filesystem::create_directory(home);
    const pid_t server = ::fork();
    if (server == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 1);
        ::execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path.c_str(),
                 "--dir", home.c_str(), "--appendonly", "yes", "--appendfsync", "always", "--save",
                 "", "--maxclients", "200", nullptr);
        ::_exit(127);
    }
    const auto connect = [&] {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::strncpy(to.sun_path, socket_path.c_str(), sizeof(to.sun_path) - 1);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) return fd;
        ::close(fd);
        return -1;
    };
    int first = -1;
    for (int i = 0; i < 200 && first < 0; ++i) {
        ::usleep(20'000);
        first = connect();
        if (::waitpid(server, nullptr, WNOHANG) == server) return {};
    }
    need(first >= 0, "redis-server does not answer");
    ::close(first);
    std::vector<int> sockets;
    for (int t = 0; t < threads; ++t) sockets.push_back(connect());
    const Measured measured = load(threads, each, [&](int t, int i) {
        const auto& entry = rows[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
        const std::string key = fmt::format("m:{}:{}", t, i);
        std::string command = fmt::format(
            "*6\r\n$4\r\nHSET\r\n${}\r\n{}\r\n$1\r\nc\r\n${}\r\n{}\r\n$1\r\nv\r\n${}\r\n",
            key.size(), key, entry.content.size(), entry.content, kDims * sizeof(float));
        command.append(reinterpret_cast<const char*>(entry.embedding.data()),
                       kDims * sizeof(float));
        command += "\r\n";
        const int fd = sockets[static_cast<std::size_t>(t)];
        need(::write(fd, command.data(), command.size()) == static_cast<ssize_t>(command.size()),
             "redis");
        char answer[64];
        need(::read(fd, answer, sizeof(answer)) > 0 && answer[0] == ':', "redis refused");
    });
    for (const int fd : sockets) ::close(fd);
    ::kill(server, SIGTERM);
    ::waitpid(server, nullptr, 0);
    std::filesystem::remove_all(home);
    return measured;
}

std::string processor() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
    }
    return "unknown";
}

}  // namespace

int main(int argc, char** argv) {
    std::string location;
    if (argc > 3 && std::string_view(argv[argc - 2]) == "--location") {
        location = argv[argc - 1];
        argc -= 2;
    }
    if (argc < 2) {
        give_up("usage: bench_memory_writes FOLDER [ROUNDS [NAMES]] [--location postgresql://...]");
    }
    const std::string folder = argv[1];
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
    const std::string only = argc > 3 ? argv[3] : "";
    constexpr int kEach = 400, kSingles = 600;
    base::Rng rng(5);
    std::vector<std::vector<memory::NewEntry>> rows(kWriters);
    for (auto& of_one : rows) {
        for (int i = 0; i < kSingles; ++i) of_one.push_back(make_entry(rng, "t"));
    }
    std::map<std::string, std::vector<Measured>> all;
    for (int round = 0; round < rounds; ++round) {
        const auto keep = [&](const std::string& name, const std::function<Measured()>& measure) {
            if (name.find(only) == std::string::npos) return;
            Measured measured = measure();
            if (measured.ms.empty()) return;
            fmt::print(stderr, "{:38} {:9.0f} rows/s   p50 {:7.3f} ms   p99 {:7.3f} ms\n", name,
                       measured.rows_per_s, measured.at(.5), measured.at(.99));
            all[name].push_back(std::move(measured));
        };
        keep("bare 4 KiB write and fdatasync", [&] { return bare_writes(folder, kSingles); });
        keep("ours, 1 writer", [&] { return ours(folder, 1, kSingles, 1, rows); });
        keep("ours in PostgreSQL, 1 writer",
             [&] { return in_database(location, 1, kSingles, 1, rows); });
        keep("plain SQLite, 1 writer", [&] { return plain_sqlite(folder, 1, kSingles, rows); });
        keep("Redis always, 1 writer", [&] { return redis_always(folder, 1, kSingles, rows); });
        keep("ours, 64 writers of 1 tenant",
             [&] { return ours(folder, kWriters, kEach, 1, rows); });
        keep("ours, 64 writers of 64 tenants",
             [&] { return ours(folder, kWriters, kEach, 64, rows); });
        keep("ours in PostgreSQL, 64 writers of 1 tenant",
             [&] { return in_database(location, kWriters, 100, 1, rows); });
        keep("plain SQLite, 64 writers", [&] { return plain_sqlite(folder, kWriters, 10, rows); });
        keep("Redis always, 64 writers",
             [&] { return redis_always(folder, kWriters, kEach, rows); });
    }
    utsname kernel{};
    ::uname(&kernel);
    json::array series;
    for (auto& [name, runs] : all) {
        std::sort(runs.begin(), runs.end(),
                  [](const Measured& a, const Measured& b) { return a.rows_per_s < b.rows_per_s; });
        const Measured& median = runs[runs.size() / 2];
        series.push_back({{"what", name},
                          {"rounds", runs.size()},
                          {"rows_per_s_median", std::round(median.rows_per_s)},
                          {"rows_per_s_least", std::round(runs.front().rows_per_s)},
                          {"rows_per_s_most", std::round(runs.back().rows_per_s)},
                          {"p50_ms", median.at(.5)},
                          {"p99_ms", median.at(.99)}});
    }
    const json::object result{{"command", fmt::format("bench_memory_writes FOLDER {}", rounds)},
                              {"row", "500 bytes of text, 384 numbers of an embedding"},
                              {"machine",
                               {{"processor", processor()},
                                {"cores", std::thread::hardware_concurrency()},
                                {"kernel", kernel.release}}},
                              {"series", series}};
    fmt::print("{}\n", base::to_text(result));
}
