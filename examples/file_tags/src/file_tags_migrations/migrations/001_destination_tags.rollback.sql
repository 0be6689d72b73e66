DROP TABLE destination_tags;
