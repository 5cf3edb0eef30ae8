#include "flow/run_log.h"

namespace flow {

base::Result<std::uint64_t> RunLog::length(RunId id) {
    constexpr std::uint32_t kPage = 1'000;
    for (std::uint64_t length = 0;;) {
        const auto page = DG_TRY(history(id, length, kPage));
        length += page.size();
        if (page.size() < kPage) return length;
    }
}

base::Result<std::string> RunLog::blob(RunId id, std::string_view hash) {
    return base::fail_on("hash", base::Code::not_found,
                         "{} has no value '{}' beside its events: they hold all of them",
                         to_text(id), hash);
}

base::Result<void> RunLog::blobs_of(RunId, const std::function<void(std::string_view)>&) {
    return {};
}

base::Result<RunCounts> RunLog::count(const RunFilter& filter) {
    RunCounts counts;
    RunFilter page = filter;
    page.after = std::nullopt;
    page.limit = 1'000;
    for (;;) {
        const std::vector<RunHead> heads = DG_TRY(list(page));
        for (const RunHead& head : heads) {
            ++counts.by_status[static_cast<std::size_t>(head.status)];
            if (!head.waiting.empty()) ++counts.waiting;
        }
        if (heads.size() < page.limit) return counts;
        page.after = heads.back().id;
    }
}

}  // namespace flow
