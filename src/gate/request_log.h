#pragma once
// The last requests and where their time went. Prompts and answers are not in it: they are the
// user's. Field names: docs/design/admin-api.md.

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"

namespace gate {

struct RequestSpan {
    std::string_view name;            ///< queue, template, prefill, decode, stream
    double start_ms = 0, end_ms = 0;  ///< since the request arrived
};

struct RequestRecord {
    std::string id, trace_id, method, path, model, finish, client, user_agent;
    std::int64_t unix_ms = 0;
    bool stream = false;
    int status = 0;
    std::string error_code, error_message;  ///< empty code: none
    std::uint64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
    std::uint64_t context_dropped_tokens = 0;  ///< of the first choice
    std::optional<double> queue_ms, template_ms, prefill_ms, decode_ms, stream_ms, ttft_ms;
    std::optional<double> total_ms, tokens_per_s, itl_ms;
    std::vector<RequestSpan> spans;
};

base::json::object to_json(const RequestRecord& record, bool with_spans);

/// Thread-safe ring of the newest records.
class RequestLog {
public:
    explicit RequestLog(std::size_t rows_max) : rows_max_(rows_max) {}

    void add(RequestRecord record);
    bool contains(std::string_view id) const { return find(id) != nullptr; }
    std::shared_ptr<const RequestRecord> find(std::string_view id) const;

    struct Page {
        std::vector<std::shared_ptr<const RequestRecord>> records;  ///< newest first
        std::string next_before;                                    ///< empty: no more
    };
    /// Records older than `before` (empty: from the newest). Nothing when `before` is gone.
    std::optional<Page> page(std::size_t limit, std::string_view before) const;

private:
    const std::size_t rows_max_;
    mutable std::mutex mutex_;                               // guards rows_
    std::deque<std::shared_ptr<const RequestRecord>> rows_;  // oldest first
};

}  // namespace gate
