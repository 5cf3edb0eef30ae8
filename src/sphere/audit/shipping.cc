#include "sphere/audit/shipping.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "base/files/files.h"
#include "sphere/audit/segments.h"

namespace sphere::audit {
namespace {

using base::Code;
using base::Result;

/// Follows the log line by line over segment borders.
class Follower {
public:
    Follower(std::string dir, std::uint64_t after_seq) : dir_(std::move(dir)), seq_(after_seq) {}

    /// The next line up to `last_seq`; nullopt when that was it.
    Result<std::optional<ShippedLine>> next(std::uint64_t last_seq) {
        while (seq_ < last_seq) {
            if (!reader_) DG_TRY(open_segment());
            const auto line = DG_TRY(reader_->next());
            if (!line) {  // durable lines are whole, so the rest is in the next segment
                if (fresh_) return nothing_there();
                reader_.reset();
                continue;
            }
            fresh_ = false;
            const auto read = open_line(*line);
            if (!read) return std::unexpected(read.error());
            if (read->seq <= seq_) continue;
            if (read->seq != seq_ + 1) return nothing_there();
            seq_ = read->seq;
            return ShippedLine{seq_, *line};
        }
        return std::nullopt;
    }

private:
    Result<void> open_segment() {
        const auto segments = DG_TRY(list_segments(dir_));
        auto at = std::ranges::upper_bound(segments, seq_ + 1, {}, &Segment::first_seq);
        if (at == segments.begin()) return nothing_there();
        reader_ = DG_TRY(LineReader::open(std::prev(at)->path));
        fresh_ = true;
        return {};
    }

    std::unexpected<base::Error> nothing_there() const {
        return base::fail_on(dir_, Code::data_loss,
                             "{}: event {} is missing; run dougong audit verify", dir_, seq_ + 1);
    }

    std::string dir_;
    std::uint64_t seq_;
    std::optional<LineReader> reader_;
    bool fresh_ = false;
};

}  // namespace

struct Shipping::Impl {
    const AuditLog& log;
    std::unique_ptr<Shipper> shipper;
    ShippingOptions options;
    std::string position_path;
    mutable std::mutex mutex;
    ShippingState now;  // by mutex
    std::atomic<bool> stopping{false};
    std::thread thread;

    Impl(const AuditLog& l, std::unique_ptr<Shipper> s, ShippingOptions o)
        : log(l), shipper(std::move(s)), options(o) {}

    void run() {
        std::uint64_t shipped = now.shipped_seq;
        base::Duration pause{0};
        while (!stopping) {
            const auto result = ship_until(shipped, log.durable().seq);
            if (result) {
                pause = base::Duration{0};
                log.wait_for_more(shipped, options.retry_max, stopping);
                continue;
            }
            failed(result.error());
            pause = std::clamp(pause * 2, options.retry_first, options.retry_max);
            if (!stopping) log.wait_for_more(UINT64_MAX, pause, stopping);
        }
    }

    /// Ships all up to `last`, batch by batch, and moves `shipped` on.
    Result<void> ship_until(std::uint64_t& shipped, std::uint64_t last) {
        Follower follower(log.dir(), shipped);
        while (shipped < last && !stopping) {
            std::vector<std::string> texts;
            std::vector<ShippedLine> lines;
            std::size_t bytes = 0;
            while (lines.size() < options.batch_lines_max && bytes < options.batch_bytes_max) {
                const auto line = DG_TRY(follower.next(last));
                if (!line) break;
                bytes += line->text.size();
                lines.push_back({line->seq, {}});
                texts.emplace_back(line->text);
            }
            for (std::size_t i = 0; i < lines.size(); ++i) lines[i].text = texts[i];
            DG_TRY(shipper->ship(lines));
            shipped = lines.back().seq;
            succeeded(shipped);
            // Only now: a crash in between repeats the batch and skips nothing.
            DG_TRY(base::write_file_atomically(position_path, fmt::format("{}\n", shipped)));
        }
        return {};
    }

    void succeeded(std::uint64_t shipped) {
        const std::scoped_lock lock(mutex);
        now = {shipped, 0, 0, ""};
    }
    void failed(const base::Error& error) {
        const std::scoped_lock lock(mutex);
        ++now.failures;
        now.last_error = error.message;
    }
};

Shipping::Shipping(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Shipping::~Shipping() {
    stop();
}

Result<std::unique_ptr<Shipping>> Shipping::start(const AuditLog& log,
                                                  std::unique_ptr<Shipper> shipper,
                                                  ShippingOptions options) {
    auto impl = std::make_unique<Impl>(log, std::move(shipper), options);
    impl->position_path = fmt::format("{}/shipped-{}", log.dir(), impl->shipper->name());
    if (base::path_exists(impl->position_path)) {
        const std::string text = DG_TRY(base::read_file(impl->position_path, 100));
        const auto head = parse_head(fmt::format("{}:{:064}", text.substr(0, text.find('\n')), 0));
        if (!head || head->seq > log.durable().seq) {
            return base::fail_on(impl->position_path, Code::data_loss,
                                 "{} does not hold a position of this log; remove it to ship "
                                 "everything again",
                                 impl->position_path);
        }
        impl->now.shipped_seq = head->seq;
    }
    std::unique_ptr<Shipping> shipping(new Shipping(std::move(impl)));
    shipping->impl_->thread = std::thread([state = shipping->impl_.get()] { state->run(); });
    return shipping;
}

void Shipping::stop() {
    impl_->stopping = true;
    impl_->log.wake();
    if (impl_->thread.joinable()) impl_->thread.join();
}

ShippingState Shipping::state() const {
    const std::uint64_t durable = impl_->log.durable().seq;
    const std::scoped_lock lock(impl_->mutex);
    ShippingState state = impl_->now;
    state.lag = durable - std::min(durable, state.shipped_seq);
    return state;
}

}  // namespace sphere::audit
