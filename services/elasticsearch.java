import java.nio.file.Path;
import java.util.List;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.mapper.MapperExtrasPlugin;
import org.elasticsearch.node.Node;
import org.elasticsearch.reindex.ReindexPlugin;
import org.elasticsearch.transport.Netty4Plugin;

/** One node of Elasticsearch with the settings that it is given, each as `name=value`; it ends when it is told to. */
final class SearchServer extends Node {
    private SearchServer(Settings settings) {
        super(
            new Environment(settings, Path.of(settings.get("path.home"))),
            List.of(Netty4Plugin.class, MapperExtrasPlugin.class, ReindexPlugin.class),
            false);
    }

    public static void main(String[] words) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String word : words) {
            String[] parts = word.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        new SearchServer(settings.build()).start();
        Thread.currentThread().join();
    }
}
