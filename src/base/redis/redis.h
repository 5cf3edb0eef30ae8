#pragma once
// A Redis server: commands, and transactions that are planned on what they read.
//
//   auto redis = DG_TRY(Redis::open("redis://:secret@127.0.0.1:6379/0", 4));
//   DG_TRY(redis->transact("t:meta", [&](Session& session) -> Result<std::vector<Command>> {
//       const Reply meta = DG_TRY(session.run({"HGET", "t:meta", "row"}));
//       return std::vector<Command>{{"HSET", "t:meta", "row", next(meta)}};
//   }));                                                // all or none, or again on a newer state

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace base::redis {

using Command = std::vector<std::string>;

struct Reply {
    bool nil = false;
    std::int64_t integer = 0;
    std::string text = {};
    std::vector<Reply> list = {};
};

/// One connection, for one thread, within the call that gave it.
class Session {
public:
    virtual ~Session() = default;
    /// Errors: unavailable (the connection), resource_exhausted (its memory is full), internal
    /// (Redis refuses the command).
    virtual Result<Reply> run(const Command& command) = 0;
    /// One trip for all; a reply for each.
    virtual Result<std::vector<Reply>> run_all(const std::vector<Command>& commands) = 0;
};

/// Thread-safe.
class Redis {
public:
    using Plan = std::function<Result<std::vector<Command>>(Session&)>;

    /// `url`: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or redis+unix:///PATH, with ?prefix=
    /// for names of keys (default "dougong"). One that is away now may come: each call says so.
    /// Errors: invalid_argument (the URL), failed_precondition (Redis does not let us in).
    static Result<std::unique_ptr<Redis>> open(std::string_view url, std::uint32_t connections);
    virtual ~Redis() = default;

    virtual const std::string& prefix() const = 0;
    /// Reads; done again once where a connection turned out to be gone.
    virtual Result<void> read(const std::function<Result<void>(Session&)>& work) = 0;
    /// What `plan` wants written is, unless `key` has changed since; then it plans again. A plan of
    /// nothing writes nothing. Errors: the plan's; unavailable, which says whether it may have been
    /// written; cancelled (others were faster each time).
    virtual Result<void> transact(const std::string& key, const Plan& plan) = 0;
};

}  // namespace base::redis
