#include "sphere/http/watch_streams.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <utility>
#include <vector>

#include "sphere/http/file_json.h"

namespace sphere {
namespace {

using base::Code;
using base::Result;

constexpr int kLookAfterBoxesMs = 1000;

}  // namespace

struct WatchStreams::Watch {
    SandboxId box;
    files::Watcher watcher;
    base::http::ResponderPtr responder;
    std::atomic<bool> left = false;

    /// False: it is over, by the client or by the folder's end.
    bool tell_changes() {
        if (left) return false;
        const auto changes = watcher.poll();
        if (!changes) return false;
        std::string text;
        bool gone = false;
        for (const files::Change& change : *changes) {
            text += fmt::format("event: change\ndata: {}\n\n", base::to_text(to_json(change)));
            gone |= change.kind == files::Change::Kind::gone;
        }
        // A reader slower than the changes is cut off by the server's own bound.
        if (!text.empty() && !responder->write(text)) return false;
        return !gone;
    }
    void end() {
        responder->write("event: end\ndata: {}\n\n");
        responder->end();
    }
};

WatchStreams::WatchStreams(Sphere& sphere, std::size_t watches_max)
    : sphere_(sphere), watches_max_(watches_max), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

WatchStreams::~WatchStreams() {
    stop();
}

void WatchStreams::wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof(one));
}

Result<void> WatchStreams::add(SandboxId box, files::Watcher watcher,
                               base::http::ResponderPtr responder) {
    const auto watch = std::make_shared<Watch>(std::move(box), std::move(watcher), responder);
    {
        const std::lock_guard lock(mutex_);
        if (watches_.size() >= watches_max_ || stopping_) {
            return base::fail(Code::resource_exhausted,
                              "{} watches are open, which is the limit; end one", watches_max_);
        }
        watches_.push_back(watch);
    }
    responder->begin_stream(200,
                            {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
    responder->write("event: ready\ndata: {}\n\n");
    responder->on_closed([this, weak = std::weak_ptr(watch)] {
        if (const auto gone = weak.lock()) gone->left = true;
        wake();
    });
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { run(); });
    wake();
    return {};
}

void WatchStreams::run() {
    for (;;) {
        std::vector<std::shared_ptr<Watch>> watches;
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            watches.assign(watches_.begin(), watches_.end());
        }
        std::vector<pollfd> waits = {{wake_.get(), POLLIN, 0}};
        for (const auto& watch : watches) waits.push_back({watch->watcher.fd(), POLLIN, 0});
        const int ready = ::poll(waits.data(), waits.size(), kLookAfterBoxesMs);
        std::uint64_t count = 0;
        [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof(count));
        std::vector<std::shared_ptr<Watch>> over;
        for (const auto& watch : watches) {
            if (!watch->tell_changes()) over.push_back(watch);
        }
        if (ready == 0) {
            for (const auto& watch : watches) {
                const auto info = sphere_.info(watch->box);
                if (!info || info->state == SandboxState::ended) over.push_back(watch);
            }
        }
        for (const auto& watch : over) watch->end();
        const std::lock_guard lock(mutex_);
        for (const auto& watch : over) watches_.remove(watch);
    }
}

void WatchStreams::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake();
    if (thread_.joinable()) thread_.join();
    const std::lock_guard lock(mutex_);
    watches_.clear();
}

}  // namespace sphere
