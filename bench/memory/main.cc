// What finding costs: bench_memory MODE [ENTRIES] [QUERIES] [DIR], one thread, times of its own
// CPU.
//   tenants N Q DIR      (DG_BENCH_PAUSE=1: stops before asking) hybrid questions to each of N
//   tenants of 10,000; memory per entry selectivity N Q DIR  recall and time of vectors in one
//   tenant under filters, against exact cosines peers N Q DIR        the same entries in hnswlib,
//   faiss, Xapian and SQLite FTS5, where installed chinese P Q          passages and questions in
//   JSON lines: the right passage first?
// DIR: where spill files go (default /tmp).
#include <cstdlib>
#include <string>

#include "corpus.h"

int main(int argc, char** argv) {
    const auto text = [&](int at, const char* otherwise) {
        return std::string(argc > at ? argv[at] : otherwise);
    };
    const auto number = [&](int at, const char* otherwise) {
        return static_cast<std::size_t>(std::strtoull(text(at, otherwise).c_str(), nullptr, 10));
    };
    const std::string mode = text(1, ""), dir = text(4, "/tmp");
    if (mode == "tenants") {
        bench::tenants(number(2, "100"), 10'000, number(3, "20"), dir);
    } else if (mode == "selectivity") {
        bench::selectivity(number(2, "100000"), number(3, "200"), dir);
    } else if (mode == "peers") {
        bench::peers(number(2, "50000"), number(3, "200"), dir);
    } else if (mode == "chinese") {
        bench::chinese(text(2, ""), text(3, ""));
    } else {
        std::fputs("bench_memory tenants|selectivity|peers|chinese ...: see main.cc\n", stderr);
        return 2;
    }
    return 0;
}
