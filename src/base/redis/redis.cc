#include "base/redis/redis.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <mutex>

#include "base/redis/redis_url.h"

namespace base::redis {
namespace {

constexpr timeval kConnectTimeout{5, 0}, kAnswerTimeout{30, 0};
constexpr int kPlansMax = 100;

struct FreeContext {
    void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using ReplyPtr = std::unique_ptr<redisReply, FreeReply>;

/// hiredis writes to sockets whose other end may be gone; no signal comes of that while one lives.
class NoPipeSignal {
public:
    NoPipeSignal() {
        sigset_t waiting;
        sigpending(&waiting);
        waited_ = sigismember(&waiting, SIGPIPE) == 1;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoPipeSignal() {
        constexpr timespec kNow{0, 0};
        if (!waited_) sigtimedwait(&pipe_, nullptr, &kNow);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoPipeSignal(const NoPipeSignal&) = delete;
    NoPipeSignal& operator=(const NoPipeSignal&) = delete;

private:
    sigset_t pipe_{}, before_{};
    bool waited_ = false;
};

Reply copy(const redisReply& from) {
    Reply to;
    switch (from.type) {
        case REDIS_REPLY_INTEGER:
            to.integer = from.integer;
            break;
        case REDIS_REPLY_ARRAY:
            for (std::size_t i = 0; i < from.elements; ++i) {
                to.list.push_back(copy(*from.element[i]));
            }
            break;
        case REDIS_REPLY_NIL:
            to.nil = true;
            break;
        default:
            to.text.assign(from.str, from.len);
    }
    return to;
}

class Link final : public Session {
public:
    explicit Link(const RedisUrl& url) : url_(url) {}

    Result<void> connect() {
        context_.reset(url_.socket.empty()
                           ? redisConnectWithTimeout(url_.host.c_str(), url_.port, kConnectTimeout)
                           : redisConnectUnixWithTimeout(url_.socket.c_str(), kConnectTimeout));
        if (context_ == nullptr) return fail(Code::resource_exhausted, "no memory for Redis");
        if (context_->err != 0) return gone();
        redisSetTimeout(context_.get(), kAnswerTimeout);
        if (!url_.password.empty()) {
            Command auth{"AUTH", url_.password};
            if (!url_.user.empty()) auth.insert(auth.begin() + 1, url_.user);
            DG_TRY(run(auth));
        }
        if (url_.database != 0) DG_TRY(run({"SELECT", std::to_string(url_.database)}));
        DG_TRY(run({"PING"}));  // says so when it wants a password
        return {};
    }
    bool lost() const { return context_ == nullptr || context_->err != 0; }

    Result<Reply> run(const Command& command) override {
        auto replies = DG_TRY(run_all({command}));
        return std::move(replies.front());
    }

    Result<std::vector<Reply>> run_all(const std::vector<Command>& commands) override {
        if (lost()) DG_TRY(connect());
        const NoPipeSignal quiet;
        for (const Command& command : commands) {
            std::vector<const char*> words;
            std::vector<std::size_t> sizes;
            for (const std::string& word : command) {
                words.push_back(word.data());
                sizes.push_back(word.size());
            }
            if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), words.data(),
                                       sizes.data()) != REDIS_OK) {
                return gone();
            }
        }
        std::vector<Reply> replies;
        Result<void> refused;
        for (const Command& command : commands) {
            void* raw = nullptr;
            if (redisGetReply(context_.get(), &raw) != REDIS_OK) return gone();
            const ReplyPtr reply(static_cast<redisReply*>(raw));
            if (reply->type == REDIS_REPLY_ERROR) {
                // All replies are read, so that the next command gets its own.
                if (refused) refused = refusal(command.front(), {reply->str, reply->len});
                replies.emplace_back();
            } else {
                replies.push_back(copy(*reply));
            }
        }
        if (!refused) return std::unexpected(std::move(refused).error());
        return replies;
    }

    /// Takes no command any more until it is connected again.
    void drop() { context_.reset(); }

private:
    std::unexpected<Error> gone() {
        const std::string words = context_->errstr;
        return fail_on(url_.shown, Code::unavailable,
                       "Redis at {} cannot be reached: {}; check that it runs", url_.shown, words);
    }
    std::unexpected<Error> refusal(const std::string& what, std::string_view words) {
        if (words.starts_with("OOM")) {
            return fail_on(url_.shown, Code::resource_exhausted,
                           "Redis at {} has no memory left ({}); raise its maxmemory", url_.shown,
                           words);
        }
        if (words.starts_with("WRONGPASS") || words.starts_with("NOAUTH") ||
            words.starts_with("NOPERM")) {
            return fail_on(url_.shown, Code::failed_precondition,
                           "Redis at {} does not let us in: {}; check user and password of the URL",
                           url_.shown, words);
        }
        if (words.starts_with("LOADING") || words.starts_with("MISCONF") ||
            words.starts_with("READONLY") || words.starts_with("MASTERDOWN") ||
            words.starts_with("CLUSTERDOWN")) {
            return fail_on(url_.shown, Code::unavailable, "Redis at {}: {}", url_.shown, words);
        }
        return fail_on(url_.shown, Code::internal, "Redis at {} refuses {}: {}", url_.shown, what,
                       words);
    }

    const RedisUrl& url_;
    std::unique_ptr<redisContext, FreeContext> context_;
};
using LinkPtr = std::unique_ptr<Link>;

class PooledRedis final : public Redis {
public:
    PooledRedis(RedisUrl url, std::uint32_t connections)
        : url_(std::move(url)), connections_max_(connections) {}

    const std::string& prefix() const override { return url_.prefix; }

    Result<void> read(const std::function<Result<void>(Session&)>& work) override {
        Taken link(*this);
        DG_TRY(link.alive());
        return work(*link.link);
    }

    Result<void> transact(const std::string& key, const Plan& plan) override {
        // Those of one process wait for each other instead of planning again and again.
        const std::lock_guard one(planning_[std::hash<std::string>()(key) % planning_.size()]);
        Taken taken(*this);
        Link& link = *taken.link;
        DG_TRY(taken.alive());
        for (int tries = 0; tries < kPlansMax; ++tries) {
            DG_TRY(link.run({"WATCH", key}));
            auto commands = plan(link);
            if (!commands || commands->empty()) {
                if (!link.lost()) DG_TRY(link.run({"UNWATCH"}));
                if (!commands) return std::unexpected(std::move(commands).error());
                return {};
            }
            if (DG_TRY(execute(link, std::move(*commands)))) return {};
        }
        return fail_on(key, Code::cancelled, "others wrote faster {} times; try again", kPlansMax);
    }

private:
    /// A connection of the pool, given back with the end of its use.
    struct Taken {
        explicit Taken(PooledRedis& from) : pool(from), link(from.take()) {}
        ~Taken() { pool.give(std::move(link)); }
        Taken(const Taken&) = delete;
        Taken& operator=(const Taken&) = delete;
        /// One that was idle may have ended meanwhile.
        Result<void> alive() {
            if (!link->lost() && link->run({"PING"})) return {};
            return link->connect();
        }
        PooledRedis& pool;
        LinkPtr link;
    };

    /// False: the watched key had changed.
    Result<bool> execute(Link& link, std::vector<Command> commands) {
        commands.insert(commands.begin(), Command{"MULTI"});
        commands.push_back({"EXEC"});
        auto replies = link.run_all(commands);
        if (replies) return !replies->back().nil;
        if (!link.lost()) {
            link.drop();  // whatever state it is in
            return std::unexpected(std::move(replies).error());
        }
        return fail_on(url_.shown, Code::unavailable,
                       "the connection to Redis at {} was lost during a write: read before writing "
                       "again",
                       url_.shown);
    }

    LinkPtr take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return in_use_ < connections_max_; });
        ++in_use_;
        if (idle_.empty()) return std::make_unique<Link>(url_);
        LinkPtr link = std::move(idle_.back());
        idle_.pop_back();
        return link;
    }
    void give(LinkPtr link) {
        const std::lock_guard lock(mutex_);
        --in_use_;
        idle_.push_back(std::move(link));
        changed_.notify_one();
    }

    const RedisUrl url_;
    const std::uint32_t connections_max_;
    std::array<std::mutex, 64> planning_;  // by key
    std::mutex mutex_;                     // guards what follows
    std::condition_variable changed_;
    std::vector<LinkPtr> idle_;
    std::uint32_t in_use_ = 0;
};

}  // namespace

Result<std::unique_ptr<Redis>> Redis::open(std::string_view url, std::uint32_t connections) {
    auto redis = std::make_unique<PooledRedis>(DG_TRY(parse_redis_url(url)), connections);
    const auto there = redis->read([](Session&) { return Result<void>(); });
    if (!there && there.error().code != Code::unavailable) return std::unexpected(there.error());
    return std::unique_ptr<Redis>(std::move(redis));
}

}  // namespace base::redis
