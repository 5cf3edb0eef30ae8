#include "memory/tasks/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/core/utf8.h"

namespace memory::tasks {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kStepsMax = 100;

Result<void> check_text(std::string_view name, const std::string& text, std::size_t bytes_max) {
    if (text.size() > bytes_max) {
        return fail_on(std::string(name), Code::payload_too_large,
                       "'{}' has {} bytes; the most is {}", name, text.size(), bytes_max);
    }
    if (base::utf8_valid_prefix_bytes(text) == text.size()) return {};
    return fail_on(std::string(name), Code::invalid_argument, "'{}' is not UTF-8", name);
}

std::string day_and_minute(UnixMs at) {
    using namespace std::chrono;
    const sys_time<minutes> when(floor<minutes>(milliseconds(at)));
    const auto day = floor<days>(when);
    const year_month_day date(day);
    const hh_mm_ss clock(when - day);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count());
}

void lines(std::string& text, std::string_view head, const std::vector<std::string>& items) {
    if (items.empty()) return;
    text += fmt::format("{}:\n", head);
    for (const std::string& item : items) text += fmt::format("- {}\n", item);
}

}  // namespace

Result<void> check_checkpoint(const Checkpoint& checkpoint, const CheckpointLimits& limits) {
    if (checkpoint.task.empty()) {
        return fail_on("task", Code::invalid_argument,
                       "'task' is empty; a checkpoint is of a task");
    }
    DG_TRY(check_text("task", checkpoint.task, kNameBytesMax));
    DG_TRY(check_text("name", checkpoint.name, kNameBytesMax));
    DG_TRY(check_text("result", checkpoint.result, limits.text_bytes_max));
    DG_TRY(check_text("reflection", checkpoint.reflection, limits.text_bytes_max));
    if (checkpoint.next_steps.size() > kStepsMax) {
        return fail_on("next_steps", Code::invalid_argument, "{} next steps; the most is {}",
                       checkpoint.next_steps.size(), kStepsMax);
    }
    for (const std::string& step : checkpoint.next_steps) {
        DG_TRY(check_text("next_steps", step, limits.text_bytes_max));
    }
    if (checkpoint.state.size() > limits.state_bytes_max) {
        return fail_on("state", Code::payload_too_large,
                       "'state' has {} bytes; the most is {}. Keep large results elsewhere and "
                       "their names here",
                       checkpoint.state.size(), limits.state_bytes_max);
    }
    const double progress = checkpoint.progress.value_or(0);
    if (std::isfinite(progress) && progress >= 0 && progress <= 1) return {};
    return fail_on("progress", Code::invalid_argument, "'progress' is {}, expected 0 to 1",
                   progress);
}

TaskSummary summarise(const std::vector<Checkpoint>& recent, std::uint32_t checkpoints,
                      UnixMs began_unix_ms) {
    const Checkpoint& last = recent.back();
    TaskSummary summary{.task = last.task,
                        .checkpoints = checkpoints,
                        .began_unix_ms = began_unix_ms,
                        .last_unix_ms = last.created_unix_ms,
                        .finished = last.finished,
                        .next_steps = last.next_steps};
    for (const Checkpoint& each : recent) {
        if (!each.result.empty()) summary.results.push_back(each.result);
        if (!each.reflection.empty()) summary.reflections.push_back(each.reflection);
        if (each.progress) summary.progress = each.progress;
    }
    summary.text = fmt::format(
        "Task {}: {} checkpoints from {} to {}{}{}\n", summary.task, checkpoints,
        day_and_minute(began_unix_ms), day_and_minute(last.created_unix_ms),
        summary.progress ? fmt::format(", {:.0f} % done", *summary.progress * 100) : std::string(),
        last.finished ? ", finished." : ".");
    lines(summary.text, "Most recent results", summary.results);
    lines(summary.text, "What was learnt", summary.reflections);
    lines(summary.text, "Next", summary.next_steps);
    return summary;
}

}  // namespace memory::tasks
