#include "flow/observe/run_spans.h"

#include <algorithm>
#include <utility>

#include "flow/definition/graph.h"
#include "flow/run/state.h"
#include "flow/run/trace_ids.h"

namespace flow {
namespace {

namespace json = base::json;

// Keys of what is open: a step by its path, a block as "each[3]", and of a step's inner spans its
// path with a letter that no path has behind it.
constexpr char kAttempt = '\x01', kBackoff = '\x02';
constexpr std::string_view kRun = "", kPaused = "\x03", kResumed = "\x04";
constexpr std::size_t kNameBytesMax = 256;

std::string short_name(std::string_view text) {
    return std::string(text.substr(0, kNameBytesMax));
}

const json::value* member(const json::value& value, std::string_view name) {
    const json::object* object = value.if_object();
    return object != nullptr ? object->if_contains(name) : nullptr;
}

void add_number(RunSpan& span, std::string_view name, const json::value* value) {
    if (value != nullptr && value->is_int64()) {
        span.attributes.emplace_back(std::string(name), value->get_int64());
    } else if (value != nullptr && value->is_uint64()) {
        span.attributes.emplace_back(std::string(name),
                                     static_cast<std::int64_t>(value->get_uint64()));
    }
}

/// The step and all that came after it in its block: what is reset with it. Empty: not in here.
std::vector<std::string_view> from_step_on(const Block& block, std::string_view id) {
    std::vector<std::string_view> out;
    std::vector<bool> after(block.steps.size(), false);
    for (std::size_t i = 0; i < block.steps.size(); ++i) {
        const Step& step = block.steps[i];
        after[i] = step.id == id ||
                   std::ranges::any_of(step.needs, [&](std::uint32_t need) { return after[need]; });
        if (after[i]) out.push_back(step.id);
    }
    const auto within = [&](const std::shared_ptr<const Block>& inner) {
        if (out.empty() && inner != nullptr) out = from_step_on(*inner, id);
    };
    for (const Step& step : block.steps) {
        if (const auto* loop = std::get_if<LoopAction>(&step.action)) within(loop->body);
        if (const auto* choose = std::get_if<ChooseAction>(&step.action)) {
            for (const auto& arm : choose->arms) within(arm.block);
        }
        if (const auto* parallel = std::get_if<ParallelAction>(&step.action)) {
            for (const auto& branch : parallel->branches) within(branch.block);
        }
    }
    return out;
}

/// What the output of a call says about it.
void add_usage(RunSpan& span, const json::value& output) {
    if (span.kind == "llm") {
        if (const json::value* usage = member(output, "usage")) {
            add_number(span, "gen_ai.usage.input_tokens", member(*usage, "prompt_tokens"));
            add_number(span, "gen_ai.usage.output_tokens", member(*usage, "completion_tokens"));
        }
        for (const auto& [field, name] : {std::pair{"model", "gen_ai.response.model"},
                                          {"finish_reason", "gen_ai.response.finish_reasons"}}) {
            const json::value* value = member(output, field);
            if (value == nullptr || !value->is_string()) continue;
            span.attributes.emplace_back(name, short_name(value->get_string()));
        }
    } else if (span.kind == "http") {
        add_number(span, "http.response.status_code", member(output, "status"));
    } else if (span.kind == "code") {
        add_number(span, "process.exit.code", member(output, "exit_code"));
    }
}

}  // namespace

RunSpans::RunSpans(RunId run, std::shared_ptr<const Definition> definition)
    : run_(run), kinds_(std::move(definition)) {}

std::string_view RunSpans::kind_of(std::string_view path) const {
    const StepKinds::Kind* kind = kinds_.find(path);
    if (kind == nullptr) return "unknown";
    if (!path.ends_with(kUndoSuffix) || kind->step->compensation == nullptr) return kind->word;
    return kind_name(kind->step->compensation->action);
}

base::trace::SpanId RunSpans::above(std::string_view path) const {
    const std::string_view block = block_of(path);
    if (block.empty()) return root_;
    const auto found = open_.find(block);
    return found == open_.end() ? root_ : found->second.id;
}

RunSpan& RunSpans::begin(std::string key, std::string_view what, std::string name,
                         std::string_view path, std::uint32_t attempt, const Event& event,
                         base::trace::SpanId parent) {
    RunSpan& span = open_[std::move(key)];
    span = {};
    span.id = span_id(run_, path, attempt, event.at_ms);
    while (!begun_now_.insert(span.id).second) ++span.id[0];  // again within the millisecond
    span.parent = parent;
    span.what = what;
    span.name = std::move(name);
    span.path = path;
    span.start_ms = event.at_ms;
    span.status = "open";
    return span;
}

RunSpan& RunSpans::begin_step(const Event& event) {
    if (open_.contains(event.path)) {  // begun anew beside a step that was reset
        end_within(event.path, event);
        end(event.path, "cancelled", event);
    }
    RunSpan& span = begin(event.path, "step", "step " + short_name(step_name(event.path)),
                          event.path, 0, event, above(event.path));
    span.kind = kind_of(event.path);
    ++totals_.of(span.kind).steps;
    return span;
}

void RunSpans::count(const RunSpan& span) {
    const std::int64_t took = span.end_ms - span.start_ms;
    if (span.what == "attempt") {
        RunTotals::Kind& kind = totals_.of(span.kind);
        ++kind.attempts;
        kind.working_ms += took;
    } else if (span.what == "backoff") {
        totals_.of(span.kind).waiting_ms += took;
        totals_.backoff_ms += took;
    } else if (span.what == "paused") {
        totals_.paused_ms += took;
    } else if (span.what == "step" && (span.kind == "human" || span.kind == "wait")) {
        totals_.of(span.kind).waiting_ms += took;
        const bool named = std::ranges::any_of(
            span.attributes, [](const auto& one) { return one.first == "dougong.wait.name"; });
        (span.kind == "human" ? totals_.people_ms
         : named              ? totals_.signals_ms
                              : totals_.timers_ms) += took;
    }
}

void RunSpans::end(const std::string& key, std::string_view status, const Event& event) {
    const auto found = open_.find(key);
    if (found == open_.end()) return;
    RunSpan span = std::move(found->second);
    open_.erase(found);
    span.end_ms = std::max(event.at_ms, span.start_ms);
    span.status = status;
    if (event.error && status == "failed") {
        span.attributes.emplace_back("error.type", std::string(base::code_name(event.error->code)));
    }
    count(span);
    ended_.push_back(std::move(span));
}

/// Everything whose key begins with `prefix` and goes on: what a step or a block holds.
void RunSpans::end_within(const std::string& prefix, const Event& event) {
    std::vector<std::string> keys;
    for (auto at = open_.upper_bound(prefix); at != open_.end(); ++at) {
        if (!at->first.starts_with(prefix)) break;
        // Of "fit": "fit[...", "fit\x01"; not "fitting".
        const char next = at->first[prefix.size()];
        if (prefix.empty() || next == '[' || next == '.' || next <= kBackoff) {
            keys.push_back(at->first);
        }
    }
    // The inner keys are the longer ones, and come later.
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) end(*key, "cancelled", event);
}

void RunSpans::attempt_ended(const Event& event, bool good) {
    const std::string key = event.path + kAttempt;
    const auto found = open_.find(key);
    if (found == open_.end()) return;
    RunSpan& attempt = found->second;
    if (good) add_usage(attempt, event.value);
    if (event.tokens != 0) {
        attempt.attributes.emplace_back("dougong.tokens", static_cast<std::int64_t>(event.tokens));
    }
    if (event.cost_usd != 0) attempt.attributes.emplace_back("dougong.cost_usd", event.cost_usd);
    end(key, good ? "done" : "failed", event);
}

void RunSpans::step_ended(const Event& event, std::string_view status) {
    if (!open_.contains(event.path)) begin_step(event);  // it began and ended in one decision
    end_within(event.path, event);
    end(event.path, status, event);
}

void RunSpans::run_ended(const Event& event, std::string_view status) {
    std::vector<std::string> keys;
    for (const auto& [key, span] : open_) {
        if (key != kRun && key != kResumed) keys.push_back(key);
    }
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) end(*key, "cancelled", event);
    end(std::string(kResumed), status, event);
    end(std::string(kRun), status, event);
}

void RunSpans::add(const Event& event) {
    ++events_;
    if (event.at_ms != now_ms_) begun_now_.clear();
    now_ms_ = event.at_ms;
    const auto used = [&] {
        RunTotals::Kind& kind = totals_.of(kind_of(event.path));
        kind.tokens += event.tokens;
        kind.cost_usd += event.cost_usd;
    };
    switch (event.kind) {
        case EventKind::run_started: {
            const json::value* traceparent = member(event.value, "traceparent");
            trace_ = run_trace(run_, traceparent != nullptr && traceparent->is_string()
                                         ? std::string_view(traceparent->get_string())
                                         : std::string_view());
            RunSpan& span = begin(std::string(kRun), "run", "run " + short_name(workflow()), "", 0,
                                  event, trace_.span_id);
            root_ = span.id;
            span.attributes = {{"dougong.run.id", to_text(run_)},
                               {"dougong.workflow.name", short_name(workflow())},
                               {"dougong.workflow.version",
                                static_cast<std::int64_t>(kinds_.definition().version)}};
            break;
        }
        case EventKind::run_paused:
            if (open_.contains(kPaused)) break;  // by another step, too
            begin(std::string(kPaused), "paused", "paused", kPaused, 0, event, root_).path.clear();
            break;
        case EventKind::run_resumed:
            if (!open_.contains(kRun) && !open_.contains(kResumed)) {
                // The run's own span has ended; what follows stands beside it.
                begin(std::string(kResumed), "resumed", "resumed", kResumed, ++resumptions_, event,
                      root_)
                    .path.clear();
            }
            end(std::string(kPaused), "done", event);
            break;
        case EventKind::run_completed:
            run_ended(event, "done");
            break;
        case EventKind::run_failed:
            run_ended(event, "failed");
            break;
        case EventKind::run_cancelled:
            run_ended(event, "cancelled");
            break;
        case EventKind::step_started: {
            end(event.path + kBackoff, "done", event);
            if (event.attempt <= 1 || !open_.contains(event.path)) begin_step(event);
            const auto& step = open_.at(event.path);
            const StepKinds::Kind* kind = kinds_.find(event.path);
            RunSpan& span = begin(event.path + kAttempt, "attempt",
                                  "attempt " + short_name(step_name(event.path)), event.path,
                                  event.attempt, event, step.id);
            span.kind = step.kind;
            span.attributes.emplace_back("dougong.attempt",
                                         static_cast<std::int64_t>(event.attempt));
            if (span.kind == "llm") {
                span.attributes.emplace_back("gen_ai.operation.name", "chat");
                span.attributes.emplace_back("gen_ai.provider.name", "dougong");
                if (kind != nullptr && !kind->model.empty()) {
                    span.attributes.emplace_back("gen_ai.request.model", short_name(kind->model));
                }
            }
            break;
        }
        case EventKind::step_finished:
            used();
            attempt_ended(event, true);
            step_ended(event, "done");
            break;
        case EventKind::step_failed:
            used();
            attempt_ended(event, false);
            if (event.until_ms == 0) {
                step_ended(event, "failed");
            } else if (const auto step = open_.find(event.path); step != open_.end()) {
                const base::trace::SpanId above_id = step->second.id;
                RunSpan& span = begin(event.path + kBackoff, "backoff",
                                      "backoff " + short_name(step_name(event.path)),
                                      event.path + kBackoff, event.attempt, event, above_id);
                span.path = event.path;
                span.kind = kind_of(event.path);
            }
            break;
        case EventKind::step_skipped:
            step_ended(event, "skipped");
            break;
        case EventKind::step_waiting: {
            RunSpan& span = begin_step(event);
            if (!event.name.empty()) {
                span.attributes.emplace_back("dougong.wait.name", short_name(event.name));
            }
            break;
        }
        case EventKind::step_child:
            begin_step(event).attributes.emplace_back("dougong.child.run.id",
                                                      short_name(event.name));
            break;
        case EventKind::step_reset: {
            const std::string_view block = block_of(event.path);
            const std::string before = block.empty() ? "" : std::string(block) + ".";
            for (const std::string_view id :
                 from_step_on(*kinds_.definition().body, step_name(event.path))) {
                const std::string path = before + std::string(id);
                end_within(path, event);
                end(path, "cancelled", event);
            }
            break;
        }
        case EventKind::loop_opened:
            begin_step(event);
            break;
        case EventKind::scope_opened: {
            if (!open_.contains(event.path)) begin_step(event);
            const base::trace::SpanId step = open_.at(event.path).id;
            const std::string key = event.path + "[" + event.name + "]";
            RunSpan& span = begin(key, "block", "block " + short_name(step_name(event.path)), key,
                                  0, event, step);
            span.attributes.emplace_back("dougong.block", short_name(event.name));
            break;
        }
        case EventKind::scope_closed: {
            const std::string key = event.path + "[" + event.name + "]";
            end_within(key, event);
            end(key, event.error ? "failed" : "done", event);
            break;
        }
        default:
            break;
    }
}

std::vector<RunSpan> RunSpans::take_ended() {
    return std::exchange(ended_, {});
}

std::vector<RunSpan> RunSpans::open() const {
    std::vector<RunSpan> out;
    out.reserve(open_.size());
    for (const auto& [key, span] : open_) out.push_back(span);
    return out;
}

base::trace::Span to_span(const RunSpan& span, const base::trace::Context& trace) {
    base::trace::Span out;
    out.trace_id = trace.trace_id;
    out.span_id = span.id;
    out.parent_id = span.parent;
    out.name = span.name;
    out.start_unix_ns = span.start_ms * 1'000'000;
    out.end_unix_ns = span.end_ms * 1'000'000;
    out.failed = span.status == "failed";
    out.attributes = span.attributes;
    out.attributes.emplace_back("dougong.span", std::string(span.what));
    out.attributes.emplace_back("dougong.status", std::string(span.status));
    if (!span.path.empty()) {
        out.attributes.emplace_back("dougong.step.path", short_name(span.path));
    }
    if (!span.kind.empty()) {
        out.attributes.emplace_back("dougong.step.kind", std::string(span.kind));
    }
    return out;
}

json::object to_json(const RunSpan& span) {
    json::object out{{"span_id", base::trace::to_hex(span.id)},
                     {"what", span.what},
                     {"name", span.name},
                     {"status", span.status},
                     {"start_unix_ms", span.start_ms}};
    if (span.parent != base::trace::SpanId{}) out["parent_id"] = base::trace::to_hex(span.parent);
    if (span.end_ms != 0) out["end_unix_ms"] = span.end_ms;
    if (!span.path.empty()) out["step"] = span.path;
    if (!span.kind.empty()) out["kind"] = span.kind;
    json::object attributes;
    for (const auto& [name, value] : span.attributes) {
        std::visit([&](const auto& held) { attributes[name] = held; }, value);
    }
    if (!attributes.empty()) out["attributes"] = std::move(attributes);
    return out;
}

}  // namespace flow
