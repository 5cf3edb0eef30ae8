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

namespace test {
namespace {

using namespace std::chrono_literals;

std::string data_folder() {
    const char* const named = std::getenv("DG_HUMANEVAL");
    return named != nullptr ? named : DG_SOURCE_DIR "/../shared/data/humaneval";
}

class HumanEval : public AbuseTest {
protected:
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
    std::error_code ignored;
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(data_folder(), ignored)) {
        if (entry.path().filename().string().starts_with("HumanEval")) {
            files.push_back(entry.path().string());
        }
    }
    if (files.empty()) GTEST_SKIP() << "NO HUMANEVAL DATA in " << data_folder();
    open(4);
    int problems = 0;
    for (const std::string& file : files) {
        std::istringstream lines(unpack(file));
        for (std::string line; std::getline(lines, line);) {
            const auto parsed = base::parse_json(line);
            ASSERT_TRUE(parsed) << parsed.error().message;
            const auto& problem = parsed->as_object();
            const auto field = [&](const char* name) {
                return std::string(problem.at(name).as_string());
            };
            const std::string check =
                "\n" + field("test") + "\ncheck(" + field("entry_point") + ")\n";
            EXPECT_EQ(judge(field("prompt") + field("canonical_solution") + check), 0)
                << field("task_id") << recorder.err;
            EXPECT_NE(judge(field("prompt") + "    return object()\n" + check), 0)
                << field("task_id");
            ++problems;
        }
    }
    EXPECT_GT(problems, 0);
}

}  // namespace
}  // namespace test
