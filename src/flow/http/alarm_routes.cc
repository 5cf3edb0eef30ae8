#include "flow/http/alarm_routes.h"

#include <algorithm>

#include "base/api/request_parts.h"
#include "base/json/object_reader.h"
#include "flow/definition/duration.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::api::body_of;
using base::api::json_answer;
using base::api::query_number;
using base::api::tenant_of;
using base::http::Request;
using base::http::Response;

namespace {

constexpr std::int64_t kSilenceMaxMs = 90ll * 86'400'000;
constexpr std::size_t kByMax = 256;

json::object to_json(const AlarmView::Alarm& alarm) {
    json::object out{{"workflow", alarm.workflow}};
    for (auto& [name, value] : flow::to_json(alarm.state)) out[name] = value;
    out["text"] = alarm.text;
    out["value"] = alarm.reading.value;
    if (alarm.reading.samples != 0) out["samples"] = alarm.reading.samples;
    out["runs_total"] = alarm.reading.runs_total;
    json::array runs;
    for (const AlarmRun& run : alarm.reading.runs) {
        runs.push_back(
            {{"id", to_text(run.run)}, {"at_unix_ms", run.at_ms}, {"detail", run.detail}});
    }
    out["runs"] = std::move(runs);
    return out;
}

json::object to_json(const AlarmView& view) {
    AlarmPhase phase = AlarmPhase::quiet;
    json::array alarms;
    for (const AlarmView::Alarm& each : view.alarms) {
        phase = std::max(phase, each.state.phase);
        alarms.push_back(to_json(each));
    }
    json::object out{{"object", "alarm"},
                     {"name", view.rule.name},
                     {"from", view.rule.from_file ? "file" : "api"},
                     {"phase", phase_name(phase)},
                     {"rule", flow::to_json(view.rule)},
                     {"alarms", std::move(alarms)}};
    if (view.silence) {
        out["silenced_until_unix_ms"] = view.silence->until_ms;
        out["silenced_by"] = view.silence->by;
    }
    return out;
}

/// Scheme and host: paths and queries of webhooks carry secrets.
std::string host_of(const std::string& url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos) return {};
    const std::size_t end = url.find_first_of("/?#", scheme + 3);
    const std::string authority = url.substr(scheme + 3, end - scheme - 3);
    const std::size_t user = authority.rfind('@');
    return url.substr(0, scheme + 3) +
           (user == std::string::npos ? authority : authority.substr(user + 1));
}

Result<Response> list(Alarms& alarms, const Request& request) {
    json::array data, webhooks;
    std::size_t firing = 0;
    for (const AlarmView& view : DG_TRY(alarms.list(DG_TRY(tenant_of(request))))) {
        firing += static_cast<std::size_t>(std::ranges::count_if(
            view.alarms,
            [](const AlarmView::Alarm& each) { return each.state.phase == AlarmPhase::firing; }));
        data.push_back(to_json(view));
    }
    for (const Webhook& each : alarms.webhooks()) {
        webhooks.push_back({{"name", each.name}, {"host", host_of(each.url)}});
    }
    return json_answer(200, {{"object", "list"},
                             {"firing", firing},
                             {"data", std::move(data)},
                             {"webhooks", std::move(webhooks)}});
}

Result<Response> add(Alarms& alarms, const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const json::object body = DG_TRY(body_of(request));
    if (body.contains("tenant")) {
        return base::fail_on("tenant", Code::invalid_argument,
                             "the tenant is that of the request: leave 'tenant' out");
    }
    AlarmRule rule = DG_TRY(read_alarm_rule(body, ""));
    rule.tenant = tenant;
    DG_TRY(alarms.add(rule));
    return json_answer(201, to_json(DG_TRY(alarms.find(tenant, rule.name))));
}

Result<Response> show(Alarms& alarms, const Request& request) {
    return json_answer(
        200, to_json(DG_TRY(alarms.find(DG_TRY(tenant_of(request)), request.param("name")))));
}

Result<Response> remove(Alarms& alarms, const Request& request) {
    DG_TRY(alarms.remove(DG_TRY(tenant_of(request)), request.param("name")));
    return json_answer(200, {{"name", request.param("name")}, {"removed", true}});
}

Result<Response> silence(Alarms& alarms, const Request& request) {
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    std::string span = "1h", by;
    in.text("for", span, 64);
    in.text("by", by, kByMax);
    const auto length = parse_duration(span);
    if (!length || length->count() > kSilenceMaxMs) {
        in.fault("for", "must be a duration such as 30m or 2h, at most 90 days; 0s ends a silence");
    }
    DG_TRY(in.done());
    const AlarmSilence silence = DG_TRY(
        alarms.silence(DG_TRY(tenant_of(request)), request.param("name"), length->count(), by));
    json::object out{{"name", request.param("name")}, {"silenced", silence.until_ms != 0}};
    if (silence.until_ms != 0) out["silenced_until_unix_ms"] = silence.until_ms;
    return json_answer(200, out);
}

Result<Response> acknowledge(Alarms& alarms, const Request& request) {
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    std::string workflow, by;
    in.text("workflow", workflow, 128);
    in.text("by", by, kByMax);
    DG_TRY(in.done());
    const std::size_t taken =
        DG_TRY(alarms.acknowledge(DG_TRY(tenant_of(request)), request.param("name"), workflow, by));
    return json_answer(200, {{"name", request.param("name")}, {"acknowledged", taken}});
}

Result<Response> test(Alarms& alarms, const Request& request) {
    json::array data;
    bool all = true;
    for (const AlarmTest& each :
         DG_TRY(alarms.test(DG_TRY(tenant_of(request)), request.param("name")))) {
        json::object one{{"webhook", each.webhook}, {"delivered", each.error.empty()}};
        if (each.status != 0) one["status"] = each.status;
        if (!each.error.empty()) one["error"] = each.error;
        all = all && each.error.empty();
        data.push_back(std::move(one));
    }
    return json_answer(
        200, {{"name", request.param("name")}, {"delivered", all}, {"data", std::move(data)}});
}

Result<Response> history(Alarms& alarms, const Request& request) {
    const auto limit =
        static_cast<std::uint32_t>(DG_TRY(query_number(request, "limit", 1, 1000, 100)));
    const std::int64_t before = DG_TRY(query_number(request, "before", 0, 1ll << 50, 0));
    const auto lines = DG_TRY(alarms.history(
        DG_TRY(tenant_of(request)), request.query_param("name").value_or(""), before, limit));
    json::array data;
    for (const AlarmLine& line : lines) {
        json::object one{{"number", line.number},
                         {"at_unix_ms", line.at_ms},
                         {"name", line.rule},
                         {"what", line.what}};
        if (!line.workflow.empty()) one["workflow"] = line.workflow;
        if (!line.by.empty()) one["by"] = line.by;
        if (!line.text.empty()) one["text"] = line.text;
        data.push_back(std::move(one));
    }
    json::object out{{"object", "list"}, {"data", std::move(data)}};
    if (lines.size() == limit) out["before"] = lines.back().number;
    return json_answer(200, out);
}

Result<Response> deliveries(Alarms& alarms, const Request& request) {
    constexpr std::string_view kStatuses[] = {"", "due", "delivered", "dead"};
    const std::string status = request.query_param("status").value_or("");
    if (std::ranges::find(kStatuses, status) == std::end(kStatuses)) {
        return base::fail_on("status", Code::invalid_argument,
                             "'{}' is neither due nor delivered nor dead", status);
    }
    const auto limit =
        static_cast<std::uint32_t>(DG_TRY(query_number(request, "limit", 1, 1000, 100)));
    json::array data;
    for (const AlarmDelivery& each :
         DG_TRY(alarms.deliveries(DG_TRY(tenant_of(request)), status, limit))) {
        json::object one{
            {"id", each.id},         {"name", each.rule},         {"webhook", each.webhook},
            {"status", each.status}, {"attempts", each.attempts}, {"made_unix_ms", each.made_ms}};
        if (!each.workflow.empty()) one["workflow"] = each.workflow;
        if (each.status == "due") one["next_unix_ms"] = each.next_ms;
        if (each.ended_ms != 0) one["ended_unix_ms"] = each.ended_ms;
        if (!each.error.empty()) one["error"] = each.error;
        if (auto message = base::parse_json(each.body)) one["message"] = *std::move(message);
        data.push_back(std::move(one));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> send_again(Alarms& alarms, const Request& request) {
    DG_TRY(alarms.send_again(DG_TRY(tenant_of(request)), request.param("id")));
    return json_answer(202, {{"id", request.param("id")}, {"status", "due"}});
}

Result<Response> schema(Alarms&, const Request& request) {
    const std::string of = request.query_param("of").value_or("message");
    if (of == "message") return json_answer(200, alarm_message_schema());
    if (of == "file") return json_answer(200, alarm_file_schema());
    return base::fail_on("of", Code::invalid_argument, "'{}' is neither message nor file", of);
}

}  // namespace

// Who waits for a test waits for a receiver; the others must not wait for him.
AlarmApi::AlarmApi(Alarms& alarms) : alarms_(alarms), pool_(3, 1'024) {}

AlarmApi::~AlarmApi() {
    stop();
}

void AlarmApi::register_routes(base::http::Router& router) {
    using Handler = Result<Response> (*)(Alarms&, const Request&);
    const auto route = [&](std::string_view method, std::string_view pattern, Handler handler) {
        pool_.route(router, method, pattern,
                    [this, handler](const Request& request) { return handler(alarms_, request); });
    };
    route("GET", "/v1/alarms", list);
    route("POST", "/v1/alarms", add);
    route("GET", "/v1/alarms/{name}", show);
    route("DELETE", "/v1/alarms/{name}", remove);
    route("POST", "/v1/alarms/{name}/silence", silence);
    route("POST", "/v1/alarms/{name}/acknowledge", acknowledge);
    route("POST", "/v1/alarms/{name}/test", test);
    route("GET", "/v1/alarm-history", history);
    route("GET", "/v1/alarm-deliveries", deliveries);
    route("POST", "/v1/alarm-deliveries/{id}/retry", send_again);
    route("GET", "/v1/alarm-schema", schema);
}

}  // namespace flow
