// Programs that are right pass in a box and programs that are wrong fail: HumanEval's canonical
// solutions, and each with its body replaced. The data is not part of the repository: a folder with
// HumanEval*.jsonl or .jsonl.gz is named by DG_HUMANEVAL or stands at ../shared/data/humaneval.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/json/json.h"
#include "box_fixture.h"
#include "sphere/session/session.h"

namespace test {
namespace {

using namespace std::chrono_literals;

std::string data_folder() {
    const char* const named = std::getenv("DG_HUMANEVAL");
    return named != nullptr ? named : DG_SOURCE_DIR "/../shared/data/humaneval";
}

constexpr const char* kWrong = "    return object()\n";

struct Problem {
    std::string id, prompt, solution, check;
};

class HumanEval : public AbuseTest {
protected:
    /// All there are in the data folder.
    std::vector<Problem> problems() {
        std::error_code ignored;
        std::vector<Problem> all;
        for (const auto& entry : std::filesystem::directory_iterator(data_folder(), ignored)) {
            if (!entry.path().filename().string().starts_with("HumanEval")) continue;
            std::istringstream lines(unpack(entry.path().string()));
            for (std::string line; std::getline(lines, line);) {
                const auto parsed = base::parse_json(line);
                EXPECT_TRUE(parsed) << parsed.error().message;
                if (!parsed) continue;
                const auto& problem = parsed->as_object();
                const auto field = [&](const char* name) {
                    return std::string(problem.at(name).as_string());
                };
                all.push_back({field("task_id"), field("prompt"), field("canonical_solution"),
                               "\n" + field("test") + "\ncheck(" + field("entry_point") + ")\n"});
            }
        }
        return all;
    }
    /// Unpacks with the box's own Python: one JSON object a line.
    std::string unpack(const std::string& path) {
        const sphere::SandboxId box = make();
        sphere::ExecSpec spec;
        spec.argv = {"python3", "-c",
                     "import sys,gzip; d=sys.stdin.buffer.read(); "
                     "sys.stdout.buffer.write(gzip.decompress(d) if d[:2]==b'\\x1f\\x8b' else d)"};
        spec.stdin_text = read_text(path);
        spec.output_bytes_max = 64 << 20;
        run(box, spec);
        EXPECT_EQ(recorder.result->exit_code, 0) << recorder.err;
        EXPECT_TRUE(sphere->destroy(box));
        return recorder.out;
    }
    /// The exit status of `program` in a box of its own.
    int judge(const std::string& program) {
        const auto box = sphere->create({});
        EXPECT_TRUE(box) << box.error().message;
        sphere::ExecSpec spec;
        spec.argv = {"python3", "-I", "-"};
        spec.stdin_text = program;
        spec.wall_timeout = 60s;
        run(*box, spec);
        EXPECT_TRUE(sphere->destroy(*box));
        return recorder.result->reason == sphere::EndReason::exited ? recorder.result->exit_code
                                                                    : -1;
    }
};

TEST_F(HumanEval, CanonicalSolutionsPassAndWrongOnesFail) {
    const auto all = problems();
    if (all.empty()) GTEST_SKIP() << "NO HUMANEVAL DATA in " << data_folder();
    open(4);
    for (const Problem& problem : all) {
        EXPECT_EQ(judge(problem.prompt + problem.solution + problem.check), 0)
            << problem.id << recorder.err;
        EXPECT_NE(judge(problem.prompt + kWrong + problem.check), 0) << problem.id;
    }
}

/// One interpreter after another problem: what an earlier one defined must not decide a later one.
TEST_F(HumanEval, ALiveSessionTellsThemApartToo) {
    const auto all = problems();
    if (all.empty()) GTEST_SKIP() << "NO HUMANEVAL DATA in " << data_folder();
    sphere::SessionManager sessions(*sphere, clock);
    const auto box = sphere->create({});
    ASSERT_TRUE(box) << box.error().message;
    const auto session = sessions.open(*box, sphere::Language::python);
    ASSERT_TRUE(session) << session.error().message;
    const auto status = [&](const std::string& code) {
        const auto cell = sessions.run(*box, session->id, {.code = code, .wall_timeout = 60s});
        EXPECT_TRUE(cell) << cell.error().message;
        return cell ? cell->result.status : sphere::CellStatus::ended;
    };
    for (const Problem& problem : all) {
        EXPECT_EQ(status(problem.prompt + problem.solution + problem.check), sphere::CellStatus::ok)
            << problem.id;
        EXPECT_EQ(status(problem.prompt + kWrong + problem.check), sphere::CellStatus::error)
            << problem.id;
    }
}

}  // namespace
}  // namespace test
