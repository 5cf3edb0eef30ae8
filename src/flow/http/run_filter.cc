#include "flow/http/run_filter.h"

#include "base/api/request_parts.h"

namespace flow {

using base::Code;
using base::api::query_number;

base::Result<RunFilter> run_filter_of(const base::http::Request& request) {
    RunFilter filter;
    filter.tenant = DG_TRY(base::api::tenant_of(request));
    filter.workflow = request.query_param("workflow").value_or("");
    filter.status = request.query_param("status").value_or("");
    filter.waiting = request.query_param("waiting").value_or("");
    filter.text = request.query_param("text").value_or("");
    if (const auto label = request.query_param("label")) {
        const std::size_t equals = label->find('=');
        if (equals == std::string::npos) {
            return base::fail_on("label", Code::invalid_argument, "write it as label=NAME=VALUE");
        }
        filter.label_name = label->substr(0, equals);
        filter.label_value = label->substr(equals + 1);
    }
    filter.started_from_ms = DG_TRY(query_number(request, "from_unix_ms", 0, 1ll << 50, 0));
    filter.started_to_ms = DG_TRY(query_number(request, "to_unix_ms", 0, 1ll << 50, 0));
    filter.limit = static_cast<std::uint32_t>(DG_TRY(query_number(request, "limit", 1, 1000, 50)));
    for (const auto& [name, target] :
         {std::pair{"after", &filter.after}, std::pair{"parent", &filter.parent}}) {
        const auto text = request.query_param(name);
        if (!text) continue;
        *target = run_id_from(*text);
        if (!*target) return base::fail_on(name, Code::invalid_argument, "'{}' is no run", *text);
    }
    return filter;
}

}  // namespace flow
