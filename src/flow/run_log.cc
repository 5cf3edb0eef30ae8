#include "flow/run_log.h"

namespace flow {

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
