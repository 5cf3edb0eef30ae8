#pragma once
// Internal to base/http: the pieces of a request's body between the network thread, which reads
// them, and the handler's thread, which takes them.

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/http/request_body.h"

namespace base::http {

class BodyQueue {
public:
    /// `wake` has the network thread look again; it is called under the lock and only posts.
    explicit BodyQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

    // Network thread.
    bool has_room() const;
    void push(std::string_view bytes);
    /// Nothing more comes; with an error, that is what next() says from then on.
    void end(std::optional<Error> error);
    bool abandoned() const;

    // Handler's thread.
    Result<std::string> next();
    void abandon();

private:
    static constexpr std::size_t kWaitingBytesMax = 512 * 1024;

    mutable std::mutex mutex_;  // guards everything below
    std::condition_variable changed_;
    std::function<void()> wake_;  // empty once ended
    std::string waiting_;
    std::optional<Error> error_;
    bool ended_ = false, abandoned_ = false;
};

/// What a handler holds; the last copy abandons the queue.
RequestBodyPtr make_body(std::shared_ptr<BodyQueue> queue);

}  // namespace base::http
