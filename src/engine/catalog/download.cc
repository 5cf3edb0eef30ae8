#include "engine/catalog/download.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/files/sha256.h"
#include "engine/catalog/part_file.h"

namespace engine {

using base::Code;
using base::fail;
using base::fail_on;
using base::HttpClient;
using base::Result;

namespace {

constexpr auto kProgressPeriod = std::chrono::milliseconds(100);
constexpr auto kSavePeriod = std::chrono::milliseconds(500);
constexpr std::uint64_t kBackoffMaxMs = 30'000;
constexpr double kRateWindowSeconds = 3.0;

/// What became of one request for one range.
enum class Outcome { complete, retry, ranges_ignored, failed };

/// All ranges of one file. Workers take ranges and fill them; the caller's thread reports, saves
/// and waits. State is guarded by mutex_ unless it says otherwise.
class RangeFetcher {
public:
    RangeFetcher(const HttpClient& client, const DownloadRequest& request, PartFile& part)
        : client_(client), request_(request), part_(part), ranges_(part.ranges()) {}

    /// Errors as download(). ranges_ignored() tells whether the server has no ranges.
    Result<void> run(const DownloadProgressFn& progress);
    bool ranges_ignored() const { return ranges_ignored_; }
    std::uint64_t bytes_fetched() const { return bytes_fetched_; }

private:
    void work();
    std::optional<std::size_t> take_range();
    void fetch_range(std::size_t index);
    Outcome request_once(std::size_t index, std::uint64_t& retry_after_ms);
    bool accept_head(const HttpClient::Response& head, const PartRange& range, bool ranged);
    bool store(std::size_t index, std::span<const std::byte> bytes);
    Outcome judge_status(const HttpClient::Response& response, std::uint64_t& retry_after_ms);
    void fail_all(base::Error error);
    void stop_all();
    void wait_before_retry(std::uint32_t attempt, std::uint64_t retry_after_ms);
    bool report(const DownloadProgressFn& progress);
    std::uint64_t bytes_done_locked() const;
    bool stopping() const { return stop_.load(); }

    const HttpClient& client_;
    const DownloadRequest& request_;
    PartFile& part_;
    base::SystemClock clock_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> ranges_ignored_{false};
    std::atomic<std::uint64_t> bytes_fetched_{0};

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<PartRange> ranges_;
    std::size_t next_range_ = 0;
    std::size_t workers_running_ = 0;
    std::optional<base::Error> error_;
    base::Error last_failure_;  // of a request that was retried

    // The caller's thread only.
    double rate_ = 0;
    std::uint64_t rate_bytes_ = 0;
    std::optional<base::Instant> rate_at_;
};

std::optional<std::size_t> RangeFetcher::take_range() {
    const std::lock_guard lock(mutex_);
    while (next_range_ < ranges_.size()) {
        const std::size_t index = next_range_++;
        if (request_.bytes == 0 || !ranges_[index].complete()) return index;
    }
    return std::nullopt;
}

void RangeFetcher::work() {
    while (!stopping()) {
        const auto index = take_range();
        if (!index) break;
        fetch_range(*index);
    }
    const std::lock_guard lock(mutex_);
    --workers_running_;
    changed_.notify_all();
}

void RangeFetcher::fail_all(base::Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_ = true;
    changed_.notify_all();
}

void RangeFetcher::stop_all() {
    const std::lock_guard lock(mutex_);  // so that no waiter misses it
    stop_ = true;
    changed_.notify_all();
}

void RangeFetcher::fetch_range(std::size_t index) {
    std::uint32_t attempt = 0;
    while (!stopping()) {
        std::uint64_t before;
        {
            const std::lock_guard lock(mutex_);
            before = ranges_[index].done;
        }
        std::uint64_t retry_after_ms = 0;
        const Outcome outcome = request_once(index, retry_after_ms);
        if (outcome != Outcome::retry) return;
        base::Error last;
        {
            const std::lock_guard lock(mutex_);
            // Any progress starts the count again: a bad line is slow, not down.
            if (ranges_[index].done > before) attempt = 0;
            last = last_failure_;
        }
        if (++attempt >= request_.attempts_max) {
            fail_all(std::move(last).with_context(
                fmt::format("gave up after {} attempts in a row; what was fetched is kept, so "
                            "pulling again goes on from there",
                            attempt)));
            return;
        }
        wait_before_retry(attempt, retry_after_ms);
    }
}

void RangeFetcher::wait_before_retry(std::uint32_t attempt, std::uint64_t retry_after_ms) {
    const std::uint64_t doubled = static_cast<std::uint64_t>(request_.backoff_first_ms)
                                  << std::min<std::uint32_t>(attempt - 1, 16);
    const std::uint64_t wait_ms = std::min(std::max(doubled, retry_after_ms), kBackoffMaxMs);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return stopping(); });
}

/// True when the body that follows is the bytes asked for.
bool RangeFetcher::accept_head(const HttpClient::Response& head, const PartRange& range,
                               bool ranged) {
    if (!ranged) return head.status != 206;
    if (head.status == 200) {
        ranges_ignored_ = true;
        return false;
    }
    if (head.status != 206) return true;  // an error page; judged when it is complete
    const std::string expected = fmt::format("bytes {}-{}/{}", range.first + range.done,
                                             range.first + range.size - 1, request_.bytes);
    return head.header("Content-Range").value_or("") == expected;
}

bool RangeFetcher::store(std::size_t index, std::span<const std::byte> bytes) {
    std::uint64_t offset;
    {
        const std::lock_guard lock(mutex_);
        const PartRange& range = ranges_[index];
        if (request_.bytes != 0 && bytes.size() > range.size - range.done) return false;
        offset = range.first + range.done;
    }
    if (auto written = part_.write(offset, bytes); !written) {
        fail_all(std::move(written).error());
        return false;
    }
    bytes_fetched_ += bytes.size();
    const std::lock_guard lock(mutex_);
    ranges_[index].done += bytes.size();
    return true;
}

Outcome RangeFetcher::request_once(std::size_t index, std::uint64_t& retry_after_ms) {
    PartRange range;
    {
        const std::lock_guard lock(mutex_);
        if (request_.bytes == 0) ranges_[index].done = 0;  // a stream begins again
        range = ranges_[index];
    }
    const bool ranged = request_.bytes != 0;
    HttpClient::Request http;
    http.url = request_.url;
    http.headers = request_.headers;
    http.cancelled = [this] { return stopping(); };
    if (ranged) http.range = {range.first + range.done, range.first + range.size - 1};
    bool wrong_head = false;
    const auto sink = [&](const HttpClient::Response& head, std::span<const std::byte> bytes) {
        wrong_head = !accept_head(head, range, ranged);
        if (wrong_head) return false;
        if (head.status != 200 && head.status != 206) return true;  // an error page: dropped
        return store(index, bytes);
    };
    const auto response = client_.send(http, sink);
    if (ranges_ignored_) {
        stop_all();
        return Outcome::ranges_ignored;
    }
    if (stopping()) return Outcome::failed;
    if (!response && !wrong_head) {
        const Code code = response.error().code;
        const bool passing = code == Code::unavailable || code == Code::deadline_exceeded;
        if (!passing) {
            fail_all(response.error());
            return Outcome::failed;
        }
        const std::lock_guard lock(mutex_);
        last_failure_ = response.error();
        return Outcome::retry;
    }
    if (wrong_head) {
        fail_all(base::Error{Code::data_loss,
                             fmt::format("{}: the server sent other bytes than asked for; the file "
                                         "may just have changed: pull again",
                                         request_.target),
                             request_.target});
        return Outcome::failed;
    }
    const Outcome outcome = judge_status(*response, retry_after_ms);
    if (outcome != Outcome::complete || !ranged) return outcome;
    const std::lock_guard lock(mutex_);
    if (ranges_[index].complete()) return outcome;
    last_failure_ = {Code::unavailable, "the server ended a range early", request_.target};
    return Outcome::retry;
}

std::uint64_t retry_after(const HttpClient::Response& response) {
    const std::string_view text = response.header("Retry-After").value_or("");
    std::uint64_t seconds = 0;
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    return std::min<std::uint64_t>(seconds, kBackoffMaxMs / 1000) * 1000;
}

Outcome RangeFetcher::judge_status(const HttpClient::Response& response,
                                   std::uint64_t& retry_after_ms) {
    const int status = response.status;
    if (status == 200 || status == 206) return Outcome::complete;
    const std::string what = std::filesystem::path(request_.target).filename().string();
    if (status == 429 || status >= 500 || status == 408) {
        retry_after_ms = retry_after(response);
        const std::lock_guard lock(mutex_);
        last_failure_ = {
            Code::unavailable, fmt::format("{}: the server says {}", what, status), {}};
        return Outcome::retry;
    }
    const Code code = status == 404                    ? Code::not_found
                      : status == 401 || status == 403 ? Code::permission_denied
                                                       : Code::unavailable;
    fail_all({code, fmt::format("{}: the server says {}", what, status), request_.target});
    return Outcome::failed;
}

std::uint64_t RangeFetcher::bytes_done_locked() const {
    std::uint64_t done = 0;
    for (const PartRange& range : ranges_) done += range.done;
    return done;
}

bool RangeFetcher::report(const DownloadProgressFn& progress) {
    DownloadProgress at;
    at.bytes_total = request_.bytes;
    {
        const std::lock_guard lock(mutex_);
        at.bytes_done = bytes_done_locked();
    }
    const base::Instant now = clock_.now();
    const std::uint64_t fetched = bytes_fetched_;
    if (rate_at_) {
        const double seconds = base::to_seconds(now - *rate_at_);
        if (seconds > 0) {
            const double current = static_cast<double>(fetched - rate_bytes_) / seconds;
            const double share = std::min(1.0, seconds / kRateWindowSeconds);
            rate_ = rate_ == 0 ? current : rate_ + share * (current - rate_);
        }
    }
    rate_at_ = now;
    rate_bytes_ = fetched;
    at.bytes_per_second = rate_;
    return !progress || progress(at);
}

Result<void> RangeFetcher::run(const DownloadProgressFn& progress) {
    const std::size_t workers = std::clamp<std::size_t>(
        request_.bytes == 0 ? 1 : request_.ranges_parallel, 1, ranges_.size());
    bool cancelled = !report(progress);
    if (cancelled) stop_ = true;
    std::vector<std::thread> threads;
    workers_running_ = workers;
    for (std::size_t i = 0; i < workers; ++i) threads.emplace_back([this] { work(); });
    base::Instant saved = clock_.now();
    std::vector<PartRange> snapshot;
    std::optional<base::Error> save_error;
    for (bool running = true; running;) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, kProgressPeriod, [&] { return workers_running_ == 0; });
            running = workers_running_ > 0;
            snapshot = ranges_;
        }
        if (!cancelled && !report(progress)) cancelled = true;
        if (cancelled) stop_all();
        if (!running || clock_.now() - saved > kSavePeriod) {
            if (auto done = part_.save(snapshot); !done && !save_error) {
                save_error = std::move(done).error();
                stop_all();
            }
            saved = clock_.now();
        }
    }
    for (std::thread& thread : threads) thread.join();
    if (error_) return std::unexpected(*error_);
    if (save_error) return std::unexpected(*save_error);
    if (cancelled) {
        return fail_on(request_.target, Code::cancelled,
                       "stopped; what was fetched of {} is kept, so pulling again goes on from "
                       "there",
                       request_.target);
    }
    return {};
}

Result<DownloadResult> verify_and_finish(const DownloadRequest& request, PartFile& part,
                                         const DownloadProgressFn& progress) {
    DownloadResult result;
    std::error_code error;
    result.bytes = std::filesystem::file_size(part.path(), error);
    const auto on_bytes = [&](std::uint64_t bytes) {
        return !progress || progress({true, bytes, result.bytes, 0});
    };
    result.sha256 = DG_TRY(base::sha256_file(part.path(), on_bytes));
    if (!request.sha256.empty() && request.sha256 != result.sha256) {
        part.discard();
        return fail_on(request.target, Code::data_loss,
                       "{}: sha256 is {}, expected {}; what was fetched has been removed: pull "
                       "again, and do not trust the source if it repeats",
                       request.target, result.sha256, request.sha256);
    }
    DG_TRY(part.finish());
    return result;
}

}  // namespace

Result<DownloadResult> download(const HttpClient& client, const DownloadRequest& request,
                                const DownloadProgressFn& progress) {
    PartFile part = DG_TRY(
        PartFile::open(request.target, request.bytes, request.identity, request.range_bytes));
    std::uint64_t fetched = 0;
    {
        RangeFetcher fetcher(client, request, part);
        const auto done = fetcher.run(progress);
        fetched = fetcher.bytes_fetched();
        if (!done) {
            const Code code = done.error().code;
            // Nothing can come of parts of a file that is not there or not ours to read.
            if (code == Code::not_found || code == Code::permission_denied) part.discard();
            return std::unexpected(done.error());
        }
        if (!fetcher.ranges_ignored()) {
            DownloadResult result = DG_TRY(verify_and_finish(request, part, progress));
            result.bytes_fetched = fetched;
            return result;
        }
    }
    // The server answers a range with the whole file: take it as one stream.
    DownloadRequest stream = request;
    stream.bytes = 0;
    DG_TRY(part.restart_as_stream());
    RangeFetcher fetcher(client, stream, part);
    if (auto done = fetcher.run(progress); !done) {
        part.discard();  // a stream cannot be continued
        return std::unexpected(std::move(done).error());
    }
    DownloadResult result = DG_TRY(verify_and_finish(request, part, progress));
    result.bytes_fetched = fetched + fetcher.bytes_fetched();
    return result;
}

}  // namespace engine
