#include "sphere/native/command_end.h"

#include <gtest/gtest.h>

#include <csignal>
#include <tuple>

namespace sphere::native {
namespace {

ExecResult told(int wait_status, EndFacts facts = {}) {
    launcher::Exited exited;
    exited.wait_status = wait_status;
    facts.exited = &exited;
    ExecResult result;
    judge_end(facts, result);
    return result;
}
constexpr int exit_with(int code) {
    return code << 8;
}

TEST(CommandEnd, AnExitCodeIsTheCommands) {
    EXPECT_EQ(told(exit_with(7)).reason, EndReason::exited);
    EXPECT_EQ(told(exit_with(7)).exit_code, 7);
    EXPECT_EQ(told(exit_with(137)).reason, EndReason::exited);
    EXPECT_EQ(told(exit_with(137), {.out_of_memory = true}).reason, EndReason::memory)
        << "a shell tells so of what was killed in it";
    EXPECT_EQ(told(exit_with(1), {.out_of_memory = true}).reason, EndReason::exited);
}

TEST(CommandEnd, ASignalIsNamedByWhoSentIt) {
    const std::tuple<int, EndFacts, EndReason> cases[] = {
        {SIGSEGV, {}, EndReason::signalled},
        {SIGSYS, {.sent_signal = SIGSYS}, EndReason::forbidden},
        {SIGKILL, {}, EndReason::signalled},
        {SIGKILL, {.out_of_memory = true, .sent_signal = SIGKILL}, EndReason::memory},
        {SIGTERM, {.sent_signal = SIGTERM}, EndReason::stopped},
        {SIGTERM, {.sent_signal = SIGINT}, EndReason::signalled},
        {SIGXCPU, {.cpu_limited = true}, EndReason::cpu_time},
        {SIGKILL, {.cpu_limited = true}, EndReason::cpu_time},
        {SIGXCPU, {}, EndReason::signalled},
        {SIGTERM, {.cpu_limited = true}, EndReason::signalled},
    };
    for (const auto& [signal, facts, reason] : cases) {
        EXPECT_EQ(told(signal, facts).reason, reason) << signal;
        EXPECT_EQ(told(signal, facts).signal, signal);
    }
}

TEST(CommandEnd, WithItsBox) {
    ExecResult result;
    judge_end({}, result);
    EXPECT_EQ(result.reason, EndReason::stopped);
    EXPECT_EQ(result.signal, SIGKILL);
    judge_end({.out_of_memory = true}, result);
    EXPECT_EQ(result.reason, EndReason::memory);
}

}  // namespace
}  // namespace sphere::native
